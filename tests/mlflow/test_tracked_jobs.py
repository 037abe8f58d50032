"""``--mlflow``: the run of a job in MLflow, and its model by name in the next job."""

from __future__ import annotations

import argparse
import json

import pytest

from sparkml_dist.cli.options import JobParser, add_common_options
from sparkml_dist.cli.runner import run_job
from tests.jobs.test_jobs import ROOT, main_of
from tests.mlflow.store import EXPERIMENT, artifacts
from tests.mlflow.test_server import closed_port


def run(main, argv, capsys):
    parser = JobParser("sample", "A sample.")
    parser.add_argument("--output")
    add_common_options(parser)
    status = run_job("sample", parser, main, argv)
    out, err = capsys.readouterr()
    return status, json.loads(out.splitlines()[-1]), err


def never(args: argparse.Namespace, job: object) -> None:
    raise AssertionError("the job has begun")


def test_a_server_that_does_not_answer_is_told_before_the_job(store, tmp_path, capsys):
    uri = f"http://127.0.0.1:{closed_port()}"
    status, document, err = run(never, ["--output", str(tmp_path / "o"), "--mlflow", uri], capsys)
    assert (status, document["error"]["code"]) == (14, "tracking_failed")
    assert err.startswith("sample: error: [tracking_failed] MLflow could not reach")


def test_registering_needs_a_server(tmp_path, capsys):
    options = ["--output", str(tmp_path / "o"), "--register", "machines"]
    status, document, _ = run(never, options, capsys)
    assert (status, document["error"]["code"]) == (2, "usage")


def test_a_job_that_fails_is_a_failed_run(store, tmp_path, capsys):
    import mlflow

    def main(args, job):
        raise ValueError("broken")

    options = ["--mlflow", store, "--experiment", EXPERIMENT, "--seed", "7"]
    assert run(main, ["--output", str(tmp_path / "o"), *options], capsys)[0] == 1
    last = mlflow.search_runs(
        order_by=["attributes.start_time DESC"], max_results=1, output_format="list"
    )[0]
    assert last.info.status == "FAILED" and last.data.params["seed"] == "7"
    assert last.data.tags["sparkml_dist.error"] == "unexpected"
    assert last.data.tags["sparkml_dist.run_id"]


@pytest.mark.long
def test_a_model_is_trained_registered_and_scores_by_its_name(spark, store, tmp_path, capsys):
    import mlflow

    table, out = ROOT / "data" / "machines.csv", tmp_path / "out"
    track = ["--mlflow", store, "--experiment", EXPERIMENT]
    options = ["--train", table, "--label", "state", "--output", out, "--features", "hours", "load"]
    options += ["--members", "2", "--shards", "2", *track, "--register", "machines@champion"]
    assert main_of("train_ensemble", *options) == 0
    document = json.loads((out / "metrics.json").read_text())
    run = mlflow.get_run(document["mlflow"]["run_id"])
    assert document["mlflow"]["registered"] == "machines"
    assert run.info.status == "FINISHED"
    assert run.data.metrics["accuracy"] == pytest.approx(document["metrics"]["accuracy"])
    assert {"seconds.fit", "member.seconds", "rows"} <= set(run.data.metrics)
    assert run.data.params["members"] == "2" and "mlflow" not in run.data.params
    assert run.data.tags["sparkml_dist.shards"] == "2"
    assert {"metrics.json", "plots/confusion_matrix.png"} <= artifacts(run.info.run_id)

    # A run that changes nothing is not logged again.
    assert main_of("train_ensemble", *options, "--resume") == 0
    capsys.readouterr()
    scored = tmp_path / "scored"
    by_name = ["--model", "models:/machines@champion", "--input", table, "--output", scored]
    assert main_of("score", *by_name, *track) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["rows"], result["model"]["location"]) == (1500, "models:/machines@champion")
    assert result["metrics"]["accuracy"] > 0.5
    assert {p.name for p in tmp_path.iterdir()} <= {"out", "scored", "mlruns"}

    wrong = ["--model", "models:/machines@chalenger", "--input", table, "--output", tmp_path / "no"]
    assert main_of("score", *wrong, *track) == 14
    assert "aliases: champion" in capsys.readouterr().out


def test_the_model_of_a_job_is_looked_up_before_spark_starts(store, tmp_path, capsys):
    table = ROOT / "data" / "machines.csv"
    options = ["--model", "models:/nobody/1", "--input", table, "--output", tmp_path / "scored"]
    assert main_of("score", *options, "--mlflow", store) == 14
    out = capsys.readouterr().out
    assert json.loads(out.splitlines()[-1])["error"]["code"] == "model_not_registered"
    assert "start" not in json.loads(out.splitlines()[-1])["seconds"]
