"""Boosted trees that gangs of ranks train, as trials: they grow, share slots, and are limited."""

from __future__ import annotations

import psutil
import pytest

from sparkml_dist import HyperparameterSearch, XGBoostClassifier, XGBoostRegressor, partition
from tests.boosting.rows import FEATURES, NUMERIC, table
from tests.search.objectives import Counted, Hungry, Slow


@pytest.fixture(scope="module")
def data(spark, tmp_path_factory):
    return partition(
        spark.createDataFrame(table()[[*FEATURES, "label", "id"]]),
        str(tmp_path_factory.mktemp("rows") / "shards"),
        label="label",
        key="id",
        features=FEATURES,
        categorical=["kind"],
        shards=2,
    )


def searching(estimator, space, **given):
    settings = {"sampler": "grid", "scheduler": "none", "resource": "numMembers", "metric": "auc"}
    return HyperparameterSearch(
        estimator=estimator, space=space, **{**settings, "refit": "none", **given}
    )


def states(model):
    return [(row["params"], row["state"]) for row in model.trialsTable()]


def test_trials_go_on_from_round_to_round(data, tmp_path):
    counted = Counted(str(tmp_path / "calls"))
    boosting = XGBoostClassifier(numRanks=1, objective=counted)
    model = searching(
        boosting,
        {"maxDepth": [1, 5]},
        scheduler="halving",
        reductionFactor=2,
        minResource=3,
        maxResource=6,
    ).fit(data)
    rows = model.trialsTable()
    assert [row["state"] for row in rows] == ["done"] * 2
    assert all(row["peakRssMb"] > 50 for row in rows)
    assert sorted(len(row["rungs"]) for row in rows) == [1, 2]
    assert model.bestParams == {"maxDepth": 5} and model.bestScore > 0.8
    # The better one goes on from its three rounds.
    assert counted.calls == 3 + 3 + 3


@pytest.mark.long
@pytest.mark.modes
def test_gangs_of_one_and_two_ranks_share_the_slots(spark, data):
    model = searching(
        XGBoostClassifier(numMembers=4),
        {"maxDepth": [1, 4], "learningRate": [0.05, 0.5], "numRanks": [1, 2]},
        resource="shards",
        minResource=2,
        refit="best",
    ).fit(data)
    assert [state for _, state in states(model)] == ["done"] * 8
    assert model.bestParams["maxDepth"] == 4 and model.bestParams["learningRate"] == 0.5
    by_ranks = {}
    for row in model.trialsTable():
        setting = (row["params"]["maxDepth"], row["params"]["learningRate"])
        by_ranks.setdefault(setting, []).append(row["score"])
    # The trees of two ranks are those of one.
    assert all(one == pytest.approx(two, abs=1e-6) for one, two in by_ranks.values())
    assert type(model.bestModel).__name__ == "XGBoostClassificationModel"
    rows = spark.createDataFrame(table())
    assert model.transform(rows).where("prediction = label").count() > 450


@pytest.mark.long
def test_a_regression_is_searched_with_more_and_more_shards(spark):
    model = searching(
        XGBoostRegressor(numMembers=5, numRanks=1),
        {"maxDepth": [1, 4]},
        scheduler="halving",
        reductionFactor=2,
        resource="shards",
        metric="rmse",
        labelCol="count",
        featuresCols=NUMERIC,
        numShards=2,
    ).fit(spark.createDataFrame(table()))
    rungs = [[r["resource"] for r in row["rungs"]] for row in model.trialsTable()]
    assert sorted(rungs) == [[1], [1, 2]]


@pytest.mark.long
def test_a_gang_that_takes_too_much_memory_ends_alone(data):
    model = searching(
        XGBoostClassifier(objective=Hungry()),
        {"numRanks": [1, 2]},
        maxResource=2,
        trialMemory="100m",
    ).fit(data)
    assert [state for _, state in states(model)] == ["done", "memory"]
    reason = model.trialsTable()[1]["reason"]
    assert "MiB of memory beyond its imports; 100 MiB are allowed" in reason
    assert model.bestParams == {"numRanks": 1}


@pytest.mark.long
def test_a_gang_that_takes_too_long_ends_alone(data, tmp_path):
    model = searching(
        XGBoostClassifier(objective=Slow(str(tmp_path))),
        {"numRanks": [2, 1]},
        maxResource=2,
        trialTimeout=25.0,
    ).fit(data)
    assert [state for _, state in states(model)] == ["timeout", "done"]
    ranks = [int(path.name) for path in tmp_path.iterdir()]
    assert len(ranks) == 2
    _, alive = psutil.wait_procs([psutil.Process(p) for p in ranks if psutil.pid_exists(p)], 20)
    assert not alive
