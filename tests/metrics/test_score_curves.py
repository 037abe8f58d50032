"""ROC and precision-recall curves against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import sparkml_dist as sd
from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.metrics.auc import ProbabilityBins
from sparkml_dist.metrics.score_curve import ScoreCurve
from sparkml_dist.metrics.score_curves import score_curves


def curve(y, p, w=None, histograms=1):
    """The curve of probabilities in memory."""
    bins = ProbabilityBins(histograms)
    w = np.ones(len(y)) if w is None else np.asarray(w, float)
    at = bins.index(np.asarray(p, float))
    y = np.asarray(y, bool)
    return ScoreCurve.of_histograms(
        "yes",
        bins,
        np.bincount(at, w * y, bins.size),
        np.bincount(at, w * ~y, bins.size),
    )


def drawn(n, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.random(n) < 0.3
    logit = rng.normal(size=n) * 2 + 2 * y - 1
    return y, (1 / (1 + np.exp(-logit))).astype(np.float32).astype(float)


def test_the_points_of_votes_are_those_of_scikit_learn():
    y, p = drawn(2000)
    p, w = np.round(p * 50) / 50, 1.0 + np.arange(2000) % 3
    found = curve(y, p, w)
    for weights, ours in ((None, curve(y, p)), (w, found)):
        fpr, tpr, at = sk.roc_curve(y, p, sample_weight=weights, drop_intermediate=False)
        np.testing.assert_allclose(ours.false_positive_rate, fpr[1:], atol=1e-12)
        np.testing.assert_allclose(ours.recall, tpr[1:], atol=1e-12)
        # A threshold is the least number of a bin, whose probabilities it is reached by.
        assert (ours.thresholds <= at[1:] + 1e-12).all()
        np.testing.assert_allclose(ours.thresholds, at[1:], rtol=2**-11, atol=1e-12)
        precision, recall, _ = sk.precision_recall_curve(y, p, sample_weight=weights)
        np.testing.assert_allclose(ours.precision[::-1], precision[:-1], atol=1e-12)
        np.testing.assert_allclose(ours.recall[::-1], recall[:-1], atol=1e-12)
        area = sk.roc_auc_score(y, p, sample_weight=weights)
        assert ours.roc_auc == pytest.approx(area, abs=1e-12)
        mean = sk.average_precision_score(y, p, sample_weight=weights)
        assert ours.average_precision == pytest.approx(mean, abs=1e-12)


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 1, width=32), st.integers(1, 3)), min_size=1),
    st.sampled_from([1, 30, 3000]),
)
def test_every_point_is_that_of_its_threshold(rows, histograms):
    y, p, w = (np.array(column) for column in zip(*rows))
    found = curve(y, p, w, histograms)
    for i, threshold in enumerate(found.thresholds):
        said = p >= threshold
        assert found.hits[i] == w[said & y].sum()
        assert found.false_alarms[i] == w[said & ~y].sum()
    assert (found.positives, found.negatives) == (w[y].sum(), w[~y].sum())


def test_the_stated_error_holds_for_scores_without_ties():
    y, p = drawn(20_000)
    found = curve(y, p)
    assert found.roc_auc == pytest.approx(sk.roc_auc_score(y, p), abs=1e-4)
    mean = sk.average_precision_score(y, p)
    # Ties of neighbours change a precision by as much as a bin holds of the rows.
    assert found.average_precision == pytest.approx(mean, abs=1e-3)


def test_a_table_of_thresholds():
    y, p = drawn(500)
    p = np.round(p, 1)
    rows = curve(y, p).table(10)
    assert [row["threshold"] for row in rows] == [i / 10 for i in range(11)]
    for row in rows[:-1]:
        said = p >= row["threshold"]
        assert row["recall"] == pytest.approx(sk.recall_score(y, said))
        assert row["precision"] == pytest.approx(sk.precision_score(y, said))
        assert row["f1"] == pytest.approx(sk.f1_score(y, said))
        assert row["misses"] == (y & ~said).sum()
        assert row["correct_rejections"] == (~y & ~said).sum()
    found = curve(y, p)
    best = max(sk.f1_score(y, p >= t) for t in np.unique(p))
    assert found.at(found.best_threshold)["f1"] == pytest.approx(best)
    assert np.isnan(found.at(1.1)["precision"]) and found.at(1.1)["recall"] == 0
    with pytest.raises(SparkMLDistError, match="steps"):
        found.table(0)


def test_one_kind_of_rows_only():
    found = curve([True, True], [0.5, 0.25])
    assert found.roc_auc is None and found.average_precision == 1.0
    assert found.to_dict()["points"]["false_positive_rate"] == [None, None]
    none = curve([False], [0.5])
    assert none.average_precision is None and none.best_threshold is None
    assert curve([], []).to_dict()["points"] == {}


@pytest.fixture(scope="module")
def rows(spark):
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    frame = pd.DataFrame(
        {
            "x": x,
            "kind": np.array(["low", "mid", "top"])[np.digitize(x + rng.normal(size=300), [-1, 1])],
            "w": 1.0 + np.arange(300) % 2,
        }
    )
    return spark.createDataFrame(frame).repartition(3), frame


@pytest.mark.modes("connect")
def test_curves_of_a_model(spark, rows):
    df, frame = rows
    model = sd.BaggingClassifier(
        estimator=DecisionTreeClassifier(max_depth=3),
        numMembers=2,
        numShards=2,
        labelCol="kind",
        featuresCols=["x"],
    ).fit(df)
    found = model.scoreCurves(df, weightCol="w")
    proba = model.to_sklearn().predict_proba(frame)
    assert [c.of for c in found] == model.classes and found.rows == 300
    for k, of in enumerate(model.classes):
        area = sk.roc_auc_score(frame.kind == of, proba[:, k], sample_weight=frame.w)
        assert found[of].roc_auc == pytest.approx(area, abs=1e-6)
    mean = np.mean([found[of].roc_auc for of in model.classes])
    assert found.roc_auc == pytest.approx(mean)
    assert [c.of for c in model.scoreCurves(df, of=["top"])] == ["top"]
    assert found.to_dict()["classes"][0]["class"] == "low"
    with pytest.raises(SparkMLDistError) as caught:
        model.scoreCurves(df, of=["high"])
    assert caught.value.code == "unknown_class"
    with pytest.raises(SparkMLDistError) as caught:
        model.scoreCurves(df, of="top")
    assert caught.value.code == "invalid_param"
    with pytest.raises(KeyError):
        found["high"]


@pytest.mark.long
def test_refusals(spark, rows):
    df, _ = rows
    line = sd.BaggingRegressor(
        estimator=DecisionTreeRegressor(max_depth=2),
        numMembers=1,
        numShards=1,
        labelCol="w",
        featuresCols=["x"],
    ).fit(df)
    with pytest.raises(SparkMLDistError) as caught:
        line.scoreCurves(df)
    assert caught.value.code == "not_a_classifier"
    frame = pd.DataFrame({"label": ["a", "b"], "probability": [[0.5, 0.5], [float("nan"), 1.0]]})

    def code(data, **more):
        df = data if hasattr(data, "rdd") or hasattr(data, "toPandas") else None
        df = spark.createDataFrame(data) if df is None else df
        with pytest.raises(SparkMLDistError) as caught:
            score_curves(df, label_col="label", classes=["a", "b"], **more)
        return caught.value.code

    assert code(frame) == "prediction_not_finite"
    assert code(frame, weight_col="wieght") == "column_not_found"
    schema = "label string, probability array<double>"
    assert code(spark.createDataFrame([(None, [0.5, 0.5])], schema)) == "label_null"
    assert code(spark.createDataFrame([], schema)) == "empty_data"
