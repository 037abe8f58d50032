"""Selection of algorithms: good models of small tables, repeated, resumed, saved and reported."""

from __future__ import annotations

import datetime
import json
import time

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import cross_val_score
from sklearn.tree import DecisionTreeRegressor

from sparkml_dist import (
    AutoClassificationModel,
    AutoClassifier,
    AutoRegressor,
    load_model,
    partition,
)
from sparkml_dist.errors import ConfigurationError, DataError, TrainingError

QUICK = ["linear", "neighbors", "extra_trees"]
REPEATED = {"numTrials": 5, "families": QUICK, "numFolds": 2, "seed": 3}


def board(model):
    """The leaderboard without what depends on the clock."""
    names = ("trial", "family", "params", "score", "weight", "state")
    return [tuple(row[n] for n in names) for row in model.leaderboardTable()]


@pytest.fixture(scope="module")
def flowers(spark):
    frame = load_iris(as_frame=True).frame
    frame.columns = ["a", "b", "c", "d", "label"]
    return spark.createDataFrame(frame).coalesce(1).persist()


@pytest.fixture(scope="module")
def fitted(flowers, tmp_path_factory):
    place = tmp_path_factory.mktemp("auto") / "model"
    auto = AutoClassifier(**REPEATED, modelDir=str(place))
    return auto.fit(flowers)


def mixed_rows(rows=400):
    """A table of any columns with nulls, an id and a copy of the label."""
    rng = np.random.default_rng(0)
    words = np.array(["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"])
    x, kind = rng.normal(size=rows), rng.choice(list("abcd"), rows)
    days = [
        datetime.date(2024, 1, 1) + datetime.timedelta(int(d)) for d in rng.integers(0, 700, rows)
    ]
    texts = [" ".join(rng.choice(words, 6)) for _ in range(rows)]
    y = ["yes" if (x[i] > 0) != (kind[i] == "a") else "no" for i in range(rows)]
    return [
        (
            None if i % 9 == 0 else float(x[i]),
            None if i % 11 == 0 else str(kind[i]),
            days[i],
            texts[i],
            i,
            y[i],
            y[i].upper(),
        )
        for i in range(rows)
    ]


MIXED = "x double, kind string, day date, text string, id int, label string, copy string"


@pytest.mark.long
def test_a_good_model_of_iris(fitted, flowers):
    assert isinstance(fitted, AutoClassificationModel)
    assert fitted.metric == "log_loss" and fitted.scores["accuracy"] > 0.94
    rows = fitted.leaderboardTable()
    assert len(rows) == 5 and {row["family"] for row in rows} == set(QUICK)
    scores = [row["score"] for row in rows]
    assert scores == sorted(scores)
    # The selection begins with the best trial, and goes on only while it gains.
    assert fitted.scores["log_loss"] <= scores[0] + 1e-12
    assert sum(row["weight"] for row in rows) == pytest.approx(1)
    assert set(fitted.summary["ensemble"]["scores"]) == {"greedy", "stacked"}
    scored = fitted.transform(flowers)
    assert scored.columns[:5] == flowers.columns
    right = scored.where("prediction = label").count()
    assert right >= 140


@pytest.mark.long
def test_memory_is_reported_for_trials_members_and_driver(fitted):
    peaks = [row["peakRssMb"] for row in fitted.leaderboardTable()]
    assert all(30 < peak < 3_000 for peak in peaks)
    assert fitted.summary["peak_worker_rss_mb"] >= max(peaks)
    assert fitted.summary["peak_driver_rss_mb"] > 30
    assert fitted.bestModel.summary["peak_worker_rss_mb"] in peaks


@pytest.mark.long
def test_the_same_seed_gives_the_same_model(fitted, flowers):
    again = AutoClassifier(**REPEATED).fit(flowers)
    assert board(again) == board(fitted) and again.scores == fitted.scores
    shown = [m.transform(flowers).select("probability").toPandas() for m in (fitted, again)]
    assert shown[0].equals(shown[1])


@pytest.mark.long
def test_saved_and_loaded(fitted, flowers, tmp_path):
    fitted.save(str(tmp_path / "saved"))
    loaded = load_model(str(tmp_path / "saved"))
    assert loaded.leaderboardTable() == fitted.leaderboardTable()
    assert loaded.tried == fitted.tried and loaded.alerts == fitted.alerts
    shown = [m.transform(flowers).select("probability").toPandas() for m in (fitted, loaded)]
    assert shown[0].equals(shown[1])
    local = loaded.to_sklearn().predict_proba(flowers.toPandas())
    assert np.allclose(local, np.stack([p.toArray() for p in shown[0]["probability"]]))
    assert fitted.leaderboard.where("weight > 0").count() >= 1


def test_a_finished_fit_is_resumed_without_new_trials(fitted, flowers):
    place = fitted.folder.location
    auto = AutoClassifier(**REPEATED, modelDir=place, resume=True)
    before = {r["trial"]: r["seconds"] for r in fitted.leaderboardTable()}
    again = auto.fit(flowers)
    # The seconds are those that were committed, to the last digit.
    assert {r["trial"]: r["seconds"] for r in again.leaderboardTable()} == before


@pytest.mark.long
def test_any_columns_with_calibration_and_a_report(spark, tmp_path):
    df = spark.createDataFrame(mixed_rows(), MIXED).coalesce(1)
    auto = AutoClassifier(
        numTrials=2, families=["hist_gradient_boosting", "linear"], calibrate=True, numFolds=2
    )
    model = auto.fit(df)
    assert model.metric == "auc" and model.scores["auc"] > 0.85
    left = dict(model.tried)
    assert left["column copy"] == "is the label under other values"
    assert left["column id"] == "numbers the rows"
    assert model.transform(df).columns[:7] == df.columns
    assert not {"day_month", "text_words"} & set(model.transform(df).columns)
    with pytest.raises(ConfigurationError, match="prepare"):
        model.to_sklearn()
    local = model.bestModel.to_sklearn()
    assert len(local.predict(model.prepare(df).limit(9).toPandas())) == 9
    model.writeReport(str(tmp_path / "report.html"), df.limit(120), title="Mixed")
    page, card = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()
    for part in ("ROC curve", "Calibration", "Confusion matrix", "Partial dependence"):
        assert part in page
    assert "http" not in page.replace("http://www.w3.org", "") and "## Intended use" in card
    assert "is the label under other values" in page


@pytest.mark.long
def test_a_regression_beats_a_tree(spark):
    frame = load_diabetes(as_frame=True).frame
    model = AutoRegressor(labelCol="target", numTrials=5, families=QUICK).fit(
        spark.createDataFrame(frame).coalesce(1)
    )
    X, y = frame.drop(columns="target"), frame["target"]
    tree = -cross_val_score(
        DecisionTreeRegressor(max_depth=4, random_state=0),
        X,
        y,
        scoring="neg_root_mean_squared_error",
    ).mean()
    assert model.metric == "rmse" and model.scores["rmse"] < tree
    best = model.leaderboardTable()[0]["score"]
    assert model.scores["rmse"] <= best + 1e-9


@pytest.mark.long
def test_a_hold_out_of_more_rows_is_fitted_again_on_all(spark):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3_400, 3))
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(label=X[:, 0] + X[:, 1] ** 2)
    df = spark.createDataFrame(frame).coalesce(1)
    model = AutoRegressor(numTrials=5, families=["extra_trees", "linear"]).fit(df)
    assert model.content["folds"] == 0 and 500 < model.content["scored_rows"] < 900
    files = [m["file"] for m in model.bestModel.content["members"]]
    assert files and all(f.endswith("-all.skops") for f in files)
    # On the rows that it has learnt from, the held-out ones among them.
    found = model.transform(df).selectExpr("sqrt(avg(pow(prediction - label, 2)))").first()[0]
    assert found < model.scores["rmse"]


@pytest.mark.long
def test_a_stacked_ensemble_is_handed_over_like_any_other(flowers, tmp_path):
    import onnxruntime

    model = AutoClassifier(
        numTrials=6, families=["linear", "extra_trees"], numFolds=2, ensembleMethod="stacked"
    ).fit(flowers)
    assert model.summary["ensemble"] == {"method": "stacked", "scores": {}}
    rows = flowers.toPandas()
    shown = np.stack([p.toArray() for p in model.transform(flowers).toPandas()["probability"]])
    assert np.allclose(model.to_sklearn().predict_proba(rows), shown)
    model.export_onnx(str(tmp_path / "m.onnx"))
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    _, found = session.run(None, {"features": rows[list("abcd")].to_numpy(np.float32)})
    assert np.allclose(found, shown, atol=1e-4)


@pytest.mark.modes("connect")
def test_several_shards_have_members_on_each(spark):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 3))
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(label=(X[:, 0] > X[:, 1]).astype(int))
    auto = AutoClassifier(numTrials=4, families=["linear", "neighbors"], numShards=3)
    model = auto.fit(spark.createDataFrame(frame).repartition(2))
    assert model.scores["auc"] > 0.95
    used = [row for row in model.leaderboardTable() if row["weight"]]
    assert model.bestModel.numMembers == sum(row["resource"] for row in used)


@pytest.mark.long
def test_a_time_budget_is_kept(flowers):
    begun = time.monotonic()
    model = AutoClassifier(timeBudget=7.0, families=QUICK).fit(flowers)
    # Generous: the machine may be busy. What matters is that the search ends by itself.
    assert time.monotonic() - begun < 40 and len(model.leaderboardTable()) > 2


def test_a_partitioned_data_set(spark, flowers, tmp_path):
    data = partition(flowers, str(tmp_path / "shards"), label="label", shards=1)
    model = AutoClassifier(numTrials=2, families=["linear"]).fit(data)
    assert model.features is None and model.alerts == []
    assert model.transform(flowers).where("prediction = label").count() > 135


def test_a_budget_too_small_for_a_trial(flowers):
    with pytest.raises(ConfigurationError, match="Give it more time") as caught:
        AutoClassifier(timeBudget=0.01, families=["linear"]).fit(flowers)
    assert caught.value.code == "budget_too_small"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"families": []}, "empty list"),
        ({"families": ["forest"]}, "which there is not"),
        ({"metric": "rmse"}, "metric must be one of auc"),
        ({"ensembleMethod": "stack"}, "Did you mean 'stacked'"),
        ({"numTrials": 0}, "numTrials must be >= 1"),
        ({"timeBudget": -1.0}, "timeBudget"),
        ({"numFolds": 1}, "numFolds must be >= 2"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_any_job(flowers, settings, text):
    with pytest.raises(ConfigurationError, match=text):
        AutoClassifier(**settings).fit(flowers)


def test_labels_that_nothing_can_be_learnt_about(spark):
    rows = [(f"name {i}", float(i % 5)) for i in range(60)]
    ids = spark.createDataFrame(rows, "label string, x double")
    with pytest.raises(DataError, match="may identify rows") as caught:
        AutoClassifier(numTrials=2).fit(ids)
    assert caught.value.code == "too_many_classes"
    few = spark.createDataFrame(rows[:8], "label string, x double")
    with pytest.raises(DataError):
        AutoClassifier(numTrials=2).fit(few)


def test_all_trials_fail_with_the_reasons(spark, flowers, monkeypatch):
    from sparkml_dist.automl.families import known
    from sparkml_dist.automl.families.family import Family

    def broken(situation):
        (family,), _ = known.families_for(situation, ["linear"])
        solver = {"learner__solver": "no such solver"}
        space = {**family.space, "learner__solver": ["no such solver"]}
        return Family("broken", family.learner, space, [{**family.portfolio[0], **solver}])

    monkeypatch.setitem(known.FAMILIES, "broken", broken)
    with pytest.raises(TrainingError, match="All 2 trials failed") as caught:
        AutoClassifier(numTrials=2, families=["broken"]).fit(flowers)
    assert "solver" in caught.value.message


@pytest.mark.long
def test_rows_with_weights_leave_out_families_without(spark):
    rows = [(float(i % 10), float(i % 10 > 4) if i % 7 else 0.0, 1.0 + i % 3) for i in range(200)]
    df = spark.createDataFrame(rows, "x double, label double, w double")
    auto = AutoClassifier(numTrials=2, families=["linear", "neighbors"], weightCol="w", numFolds=2)
    model = auto.fit(df)
    assert {row["family"] for row in model.leaderboardTable()} == {"linear"}
    assert dict(model.tried)["family neighbors"] == "does not take row weights"
    with pytest.raises(TrainingError, match="No family of learners can be tried"):
        AutoClassifier(numTrials=2, families=["neighbors"], weightCol="w").fit(df)


def test_the_leaderboard_is_json(fitted):
    assert json.loads(json.dumps(fitted.leaderboardTable())) == fitted.leaderboardTable()
