"""This library's own estimators as trials, and ensembles of the best trials."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import sparkml_dist as sd
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.dataset.without import write_without
from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.persistence.filesystem import Folder

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def frame(spark):
    X, y = make_classification(600, 5, n_informative=4, n_redundant=0, random_state=1)
    rows = pd.DataFrame(X, columns=[f"x{i}" for i in range(5)])
    rows = rows.assign(c=np.where(X[:, 0] > 0, "u", "v"), label=y, number=X[:, 1] * 2)
    rows.loc[::50, "x4"] = np.nan
    return spark.createDataFrame(rows).repartition(1).cache()


@pytest.fixture(scope="module")
def data(frame, tmp_path_factory):
    return sd.partition(
        frame.drop("number"),
        str(tmp_path_factory.mktemp("d") / "d"),
        label="label",
        categorical=["c"],
        shards=2,
    )


def test_a_copy_without_held_out_rows(spark, data, tmp_path):
    subset = Validation(0.3, 4)
    folder = Folder.at(str(tmp_path / "copy"))
    copy = write_without(spark, data, folder, subset)
    for shard in range(2):
        whole, left = data.read_block(shard), copy.read_block(shard)
        rows = ~subset.mask(whole.key)
        np.testing.assert_array_equal(left.key, whole.key[rows])
        np.testing.assert_array_equal(left.X, whole.X[rows])
        np.testing.assert_array_equal(left.y, whole.y[rows])
        assert sum(copy.shards[shard].class_rows) == rows.sum()
    assert copy.classes == data.classes and copy.schema == data.schema
    again = sd.open_partitioned(folder.location)
    again.verify()
    assert again.manifest == write_without(spark, data, folder, subset).manifest


@pytest.mark.modes
def test_bags_as_trials(data, frame):
    bagging = sd.BaggingClassifier(estimator=DecisionTreeClassifier(), numMembers=2)
    model = sd.HyperparameterSearch(
        estimator=bagging,
        space={"estimator__max_depth": [1, 6], "method": ["bagging"]},
        sampler="grid",
        scheduler="none",
        resource="numMembers",
        maxResource=3,
        metric="auc",
    ).fit(data)
    rows = model.trialsTable()
    assert [row["state"] for row in rows] == ["done", "done"]
    assert model.bestParams == {"estimator__max_depth": 6, "method": "bagging"}
    assert type(model.bestModel).__name__ == "BaggingClassificationModel"
    assert model.bestModel.numMembers == 3
    assert model.transform(frame).where("prediction = label").count() > 500


def test_learners_and_estimators_together(data):
    bagging = sd.BaggingClassifier(estimator=DecisionTreeClassifier(max_depth=2), numMembers=2)
    model = sd.HyperparameterSearch(
        estimator=[("bag", bagging), ("tree", DecisionTreeClassifier(max_depth=1))],
        space={"bag": {"method": ["pasting", "no such"]}},
        sampler="grid",
        scheduler="none",
        refit="none",
    ).fit(data)
    rows = model.trialsTable()
    assert [(r["estimator"], r["state"]) for r in rows] == [
        ("bag", "done"),
        ("bag", "failed"),
        ("tree", "done"),
    ]
    assert "no such" in rows[1]["reason"]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"refit": "ensemble"}, "conflicting_params"),
        ({"resource": "rows"}, "invalid_param"),
        ({"resource": "epochs"}, "invalid_param"),
        ({"space": {"metod": ["bagging"]}}, "unknown_estimator_parameter"),
    ],
    ids=str,
)
def test_what_estimators_cannot_have(data, given, code):
    bagging = sd.BaggingClassifier(estimator=DecisionTreeClassifier())
    settings = {"space": {"method": ["bagging"]}, **given}
    with pytest.raises(SparkMLDistError) as caught:
        sd.HyperparameterSearch(estimator=bagging, **settings).fit(data)
    assert caught.value.code == code


def test_more_ranks_than_slots_are_refused_before_the_first_job(data):
    with pytest.raises(SparkMLDistError) as caught:
        sd.HyperparameterSearch(
            estimator=sd.KerasClassifier(builder="mlp", numRanks=9), space={"epochs": [1, 2]}
        ).fit(data)
    assert caught.value.code == "too_few_slots"


# -- the ensemble of the best -------------------------------------------------------------


def test_an_ensemble_is_at_least_as_good_as_the_best_trial(data, frame, tmp_path):
    model = sd.HyperparameterSearch(
        estimator=DecisionTreeClassifier(),
        space={"max_depth": [1, 3, 6], "max_features": [0.5, None]},
        sampler="grid",
        metric="log_loss",
        refit="ensemble",
        ensembleSize=6,
    ).fit(data)
    chosen = model.content["ensemble"]
    assert chosen["score"] <= model.bestScore
    assert 1 <= sum(m["count"] for m in chosen["members"]) <= 6
    assert model.bestModel.numMembers == len(chosen["members"])
    model.save(str(tmp_path / "saved"))
    shown = sd.load_model(str(tmp_path / "saved")).transform(frame).select("prediction").collect()
    assert shown == model.transform(frame).select("prediction").collect()


def test_a_learner_that_takes_no_missing_values_is_refused_before_the_first_trial(data):
    with pytest.raises(SparkMLDistError) as caught:
        sd.HyperparameterSearch(
            estimator=[("tree", DecisionTreeClassifier()), ("line", LogisticRegression())],
            space={"tree": {"max_depth": [1]}, "line": {"C": [1.0]}},
        ).fit(data)
    assert caught.value.code == "missing_values" and "x4" in caught.value.message


def test_an_ensemble_of_regressors_by_folds(frame):
    model = sd.HyperparameterSearch(
        estimator=DecisionTreeRegressor(),
        space={"max_depth": [2, 5]},
        sampler="grid",
        labelCol="number",
        featuresCols=["x*"],
        numShards=2,
        numFolds=2,
        metric="rmse",
        refit="ensemble",
        ensembleSize=3,
    ).fit(frame)
    assert model.content["ensemble"]["score"] < 1.1 * model.bestScore
    found = model.transform(frame).selectExpr("sqrt(avg(pow(prediction - number, 2))) AS e")
    assert found.first().e < 1.0


# -- networks, in a driver of their own ---------------------------------------------------

_NETWORKS = """
import json, sys
from pathlib import Path
import numpy as np, pandas as pd
from pyspark.sql import SparkSession
import sparkml_dist as sd

spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
rng = np.random.default_rng(0)
X = rng.normal(size=(400, 4)).astype("float32")
frame = pd.DataFrame(X, columns=list("abcd")).assign(label=(X[:, 0] + X[:, 1] > 0).astype(int))
network = sd.KerasClassifier(builder="mlp", numRanks=2, batchSize=16)
model = sd.HyperparameterSearch(
    estimator=network, space={"batchSize": [8, 16, 32]}, sampler="grid", scheduler="halving",
    resource="epochs", minResource=1, maxResource=3, metric="auc", numShards=2,
    modelDir=sys.argv[1],
).fit(spark.createDataFrame(frame))
rows = model.trialsTable()
told = {
    "states": [r["state"] for r in rows], "reasons": [r["reason"] for r in rows],
    "rungs": [[g["resource"] for g in r["rungs"]] for r in rows],
    "score": model.bestScore, "history": model.bestModel.summary["history"]["loss"],
}
print("TOLD" + json.dumps(told))
"""


@pytest.mark.long
def test_networks_go_on_from_epoch_to_epoch(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _NETWORKS, str(tmp_path / "m")],
        env={k: v for k, v in os.environ.items() if k != "PYSPARK_SUBMIT_ARGS"}
        | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("TOLD")]
    assert lines, done.stdout[-2000:] + done.stderr[-4000:]
    told = json.loads(lines[0][4:])
    assert told["states"] == ["done"] * 3, told
    assert sorted(map(len, told["rungs"])) == [1, 1, 2]
    assert len(told["history"]) == 3 and told["score"] > 0.5
