"""Fits that log themselves, and end whatever MLflow does."""

from __future__ import annotations

import mlflow as installed  # noqa: TID253 - the tests of this folder need it
import numpy as np
import pandas as pd
import pytest
from sklearn.tree import DecisionTreeClassifier

import sparkml_dist.mlflow as tracking
from sparkml_dist import BaggingClassifier, HyperparameterSearch, IsolationForest
from sparkml_dist.errors import SparkMLDistError
from tests.mlflow.store import artifacts
from tests.mlflow.test_server import closed_port


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    word = rng.choice(["a", "b"], 200)
    label = np.where((x > 0) ^ (word == "b"), "yes", "no")
    return pd.DataFrame({"x": x, "n": rng.integers(0, 9, 200), "word": word, "label": label})


@pytest.fixture(scope="module")
def table(spark, frame):
    df = spark.createDataFrame(frame).cache()
    df.count()
    return df


@pytest.fixture(autouse=True)
def _off():
    yield
    tracking.autolog(disable=True)


def bagging(**more):
    return BaggingClassifier(
        estimator=DecisionTreeClassifier(max_depth=3),
        **{"numMembers": 3, "numShards": 2, "categoricalCols": ["word"], **more},
    )


def newest(count=1):
    """The last runs of the experiment, the newest first."""
    return installed.search_runs(
        order_by=["attributes.start_time DESC"], max_results=count, output_format="list"
    )


def test_everything_that_is_known_of_a_fit(store, table, frame, spark):
    tracking.autolog(child_runs=True, input_example_rows=2, tags={"team": "tests"})
    model = bagging().fit(table)
    runs = newest(4)
    run = next(r for r in runs if "mlflow.parentRunId" not in r.data.tags)
    assert run.info.status == "FINISHED" and run.info.run_name == "BaggingClassifier"
    params, tags = run.data.params, run.data.tags
    assert (params["numMembers"], params["estimator.max_depth"]) == ("3", "3")
    assert tags["sparkml_dist.estimator"] == "BaggingClassifier"
    assert (tags["sparkml_dist.shards"], tags["sparkml_dist.rows"], tags["team"]) == (
        *("2", "200"),
        "tests",
    )
    assert tags["spark.version"] == spark.version
    assert tags["sparkml_dist.shards_sha256"].startswith(
        run.inputs.dataset_inputs[0].dataset.digest
    )
    assert {"seconds.fit", "peak_worker_rss_mb", "member.seconds"} <= set(run.data.metrics)
    history = installed.MlflowClient().get_metric_history(run.info.run_id, "member.rows")
    members = model.summary["members"]
    assert {(m.step, m.value) for m in history} == {(i, m["rows"]) for i, m in enumerate(members)}
    assert {"summary.json", "plots/seconds_by_member.png"} <= artifacts(run.info.run_id)
    children = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == run.info.run_id]
    assert {r.info.run_name for r in children} == {"member 0", "member 1", "member 2"}
    # The model: typed by the schema, with the rows that were asked for, and the same predictions.
    loaded = installed.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    types = {c.name: str(c.type) for c in loaded.metadata.signature.inputs}
    assert {k: t.split(".")[-1] for k, t in types.items()} == {
        "x": "double",
        "n": "long",
        "word": "string",
    }
    assert loaded.input_example.shape == (2, 3)
    scored = loaded.predict(frame)
    assert scored["predictedLabel"].tolist() == model.to_sklearn().predict(frame).tolist()
    by_spark = loaded.predict(table).select("predictedLabel").toPandas()["predictedLabel"]
    assert by_spark.tolist() == scored["predictedLabel"].tolist()


@pytest.mark.long
def test_the_active_run_takes_one_fit_and_further_ones_are_below(store, table):
    tracking.autolog(log_models=False, log_pictures=False)
    with installed.start_run() as outer:
        bagging(numMembers=1).fit(table)
        bagging(numMembers=2).fit(table)
    inner, first = newest(2)
    assert first.info.run_id == outer.info.run_id and first.data.params["numMembers"] == "1"
    assert inner.data.params["numMembers"] == "2"
    assert inner.data.tags["mlflow.parentRunId"] == outer.info.run_id
    assert not any(name.startswith("plots") for name in artifacts(outer.info.run_id))


@pytest.mark.long
def test_a_search_is_one_run(store, table):
    tracking.autolog(log_models=False, log_pictures=False, child_runs=True)
    search = HyperparameterSearch(
        estimator=bagging(),
        space={"numMembers": [1, 2]},
        sampler="grid",
        scheduler="none",
        categoricalCols=["word"],
        numShards=2,
    )
    before = len(newest(1000))
    search.fit(table)
    runs = newest(1000)[: len(newest(1000)) - before]
    parents = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    assert [r.info.run_name for r in parents] == ["HyperparameterSearch"]
    trials = {r.info.run_name: r.data for r in runs if r not in parents}
    assert set(trials) == {"trial 0", "trial 1"}
    assert {t.params["params.numMembers"] for t in trials.values()} == {"1", "2"}
    assert all("score" in t.metrics for t in trials.values())


@pytest.mark.long
def test_a_model_of_points(store, table):
    tracking.autolog(log_pictures=False)
    model = IsolationForest(featuresCols=["x", "n"], numMembers=5).fit(table)
    run = newest()[0]
    loaded = installed.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    scored = loaded.predict(table.select("x", "n").toPandas())
    assert len(scored) == 200 and model.getOrDefault("predictionCol") in scored.columns


def test_a_fit_that_fails_is_a_failed_run(store, table):
    tracking.autolog()
    with pytest.raises(SparkMLDistError):
        bagging(labelCol="no such").fit(table)
    run = newest()[0]
    assert run.info.status == "FAILED"
    assert run.data.tags["sparkml_dist.error"] == "column_not_found"
    assert installed.active_run() is None


def test_a_server_that_does_not_answer_is_a_warning(store, table, caplog):
    tracking.autolog()
    installed.set_tracking_uri(f"http://127.0.0.1:{closed_port()}")
    assert bagging(numMembers=1).fit(table).numMembers == 1
    assert "a fit was not recorded: [tracking_failed]" in caplog.text


@pytest.mark.long
def test_a_server_that_ends_during_a_fit_is_a_warning(store, table, caplog, monkeypatch):
    from sparkml_dist.mlflow import run_record

    def gone(*_, **__):
        raise ConnectionError("the server is gone")

    monkeypatch.setattr(run_record.RunRecord, "write_summary", gone)
    tracking.autolog()
    assert bagging(numMembers=1).fit(table).numMembers == 1
    assert "the server is gone" in caplog.text
    assert newest()[0].info.status == "FAILED"
    assert installed.active_run() is None


@pytest.mark.long
def test_nothing_is_logged_when_it_is_off(store, table):
    before = len(newest(1000))
    tracking.autolog()
    tracking.autolog(disable=True)
    bagging(numMembers=1).fit(table)
    assert len(newest(1000)) == before


def test_rows_to_show_are_few(store):
    with pytest.raises(SparkMLDistError, match="from 0 to 20"):
        tracking.autolog(input_example_rows=1000)
