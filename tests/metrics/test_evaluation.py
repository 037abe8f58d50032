"""Metrics against scikit-learn's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from sparkml_dist.errors import DataError
from sparkml_dist.metrics.evaluation import evaluate_classification


def frame(spark, label, prediction, probability, parts=3, **more):
    rows = pd.DataFrame(
        {
            "label": label,
            "prediction": np.asarray(prediction, dtype=float),
            "probability": [list(map(float, p)) for p in probability],
            **more,
        }
    )
    return spark.createDataFrame(rows).repartition(parts)


def drawn(rng, n, k, sharpness):
    """Labels and probabilities that know something about them."""
    true = rng.integers(0, k, n)
    logits = rng.normal(size=(n, k)) * sharpness
    logits[np.arange(n), true] += sharpness
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    return true, proba / proba.sum(axis=1, keepdims=True)


@pytest.mark.modes
@pytest.mark.parametrize(("k", "sharpness"), [(2, 1.0), (2, 10.0), (5, 2.0), (26, 3.0)])
def test_agrees_with_scikit_learn(spark, k, sharpness):
    true, proba = drawn(np.random.default_rng(k), 3000, k, sharpness)
    guess = proba.argmax(axis=1)
    names = np.array([f"class {i:02d}" for i in range(k)])
    found = evaluate_classification(
        frame(spark, names[true], guess, proba), label_col="label", classes=list(names)
    )
    auc = (
        sk.roc_auc_score(true, proba[:, 1])
        if k == 2
        else sk.roc_auc_score(true, proba, multi_class="ovr", average="macro")
    )
    assert found.accuracy == pytest.approx(sk.accuracy_score(true, guess), abs=1e-12)
    assert found.log_loss == pytest.approx(sk.log_loss(true, proba), rel=1e-9)
    assert found.f1_macro == pytest.approx(sk.f1_score(true, guess, average="macro"), abs=1e-12)
    assert found.roc_auc == pytest.approx(auc, abs=1e-4)
    assert (found.confusion == sk.confusion_matrix(true, guess)).all()
    assert (found.rows, found.unknown_label_rows) == (3000, 0)


def test_certain_probabilities_are_clipped_as_scikit_learn_does(spark):
    true = [0, 0, 1, 1]
    proba = [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.3, 0.7]]
    found = evaluate_classification(
        frame(spark, true, [0, 1, 0, 1], proba), label_col="label", classes=[0, 1]
    )
    assert found.log_loss == pytest.approx(sk.log_loss(true, np.array(proba)), rel=1e-9)
    assert found.roc_auc == sk.roc_auc_score(true, np.array(proba)[:, 1])


def test_equal_scores_count_half(spark):
    true, score = [0, 1, 0, 1, 1], np.array([0.5, 0.5, 0.25, 0.25, 0.75])
    proba = np.stack([1 - score, score], axis=1)
    found = evaluate_classification(
        frame(spark, true, score > 0.5, proba), label_col="label", classes=[0, 1]
    )
    assert found.roc_auc == pytest.approx(sk.roc_auc_score(true, score), abs=1e-15)


def test_weights_count_as_repetition(spark):
    rng = np.random.default_rng(0)
    true, proba = drawn(rng, 400, 3, 1.0)
    times = rng.integers(0, 4, 400)
    guess = proba.argmax(axis=1)
    weighted = evaluate_classification(
        frame(spark, true, guess, proba, weight=times.astype(float)),
        label_col="label",
        classes=[0, 1, 2],
        weight_col="weight",
    )
    index = np.repeat(np.arange(400), times)
    repeated = evaluate_classification(
        frame(spark, true[index], guess[index], proba[index]), label_col="label", classes=[0, 1, 2]
    )
    assert weighted.to_dict() == pytest.approx(repeated.to_dict(), rel=1e-12)


@pytest.mark.parametrize(
    ("labels", "classes", "prediction"),
    [
        ([-1.0, 1.0, 1.0], [-1.0, 1.0], [-1.0, 1.0, -1.0]),
        ([3, 7, 7], [3, 7], [3.0, 7.0, 3.0]),
        ([False, True, True], [False, True], [0.0, 1.0, 0.0]),
        (["3", "7", "7"], [3, 7], [3.0, 7.0, 3.0]),
    ],
)
def test_labels_of_every_type(spark, labels, classes, prediction):
    proba = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    df = frame(spark, labels, prediction, proba, parts=1)
    found = evaluate_classification(df, label_col="label", classes=classes)
    assert found.confusion.tolist() == [[1, 0], [1, 1]]
    assert found.roc_auc == 1.0


def test_ml_vectors_are_read(spark):
    from pyspark.ml.functions import array_to_vector

    df = frame(spark, ["a", "b"], [0, 1], [[0.9, 0.1], [0.2, 0.8]])
    df = df.withColumn("probability", array_to_vector("probability"))
    assert evaluate_classification(df, label_col="label", classes=["a", "b"]).accuracy == 1.0


def test_unknown_labels_are_counted_as_wrong(spark):
    df = frame(spark, ["a", "b", "x", "b"], [0, 1, 1, 1], [[0.9, 0.1]] + [[0.2, 0.8]] * 3)
    found = evaluate_classification(df, label_col="label", classes=["a", "b"])
    assert (found.rows, found.unknown_label_rows, found.accuracy) == (4, 1, 0.75)
    assert found.confusion.sum() == 3
    with pytest.raises(DataError, match="unknown_label"):
        evaluate_classification(df, label_col="label", classes=["p", "q"])


def test_one_class_has_no_curve(spark):
    df = frame(spark, ["a", "a"], [0, 1], [[0.9, 0.1], [0.2, 0.8]])
    found = evaluate_classification(df, label_col="label", classes=["a", "b"])
    assert found.roc_auc is None
    assert found.accuracy == 0.5


def test_bad_predictions_are_refused(spark):
    good = {"label": ["a", "b"], "prediction": [0, 1], "probability": [[0.9, 0.1], [0.2, 0.8]]}
    cases = {
        "label_null": {"label": ["a", None]},
        "invalid_prediction": {"prediction": [0, 2]},
        "prediction_not_finite": {"probability": [[0.9, 0.1], [float("nan"), 1.0]]},
    }
    for code, change in cases.items():
        df = frame(spark, **{**good, **change})
        with pytest.raises(DataError) as caught:
            evaluate_classification(df, label_col="label", classes=["a", "b"])
        assert caught.value.code == code
    df = frame(spark, **good)
    with pytest.raises(DataError, match="empty_data"):
        evaluate_classification(df.where("false"), label_col="label", classes=["a", "b"])
    with pytest.raises(DataError, match="Did you mean 'label'"):
        evaluate_classification(df, label_col="lable", classes=["a", "b"])
