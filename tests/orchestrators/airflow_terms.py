"""The operator alone, on a program in place of spark-submit: exit statuses in Airflow's terms.

``make test-orchestrators`` runs this file, with the environment that has Airflow.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from types import SimpleNamespace

import pytest

# Read when airflow is imported: execute() may be called without a scheduler, and no file is
# written to the home of who runs the tests.
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"
os.environ.setdefault("AIRFLOW_HOME", "/tmp/sparkml_dist-airflow-terms")

# Appends its arguments to a file, writes and prints what SUBMIT says, and ends with its status.
SUBMIT = f"""#!{sys.executable}
import json, os, pathlib, sys
told = json.loads(os.environ["SUBMIT"])
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
for place, document in told.get("files", {{}}).items():
    pathlib.Path(place).write_text(json.dumps(document))
print("26/01/01 INFO SparkContext: Running Spark")
if "printed" in told:
    print(json.dumps(told["printed"]))
print("26/01/01 INFO ShutdownHookManager: Shutdown hook called", file=sys.stderr)
sys.exit(told["status"])
"""


def document(status: int = 0, code: str = "", run: str = "new") -> dict:
    found = {"job": "train_ensemble", "run_id": run, "status": "failed" if status else "ok"}
    if status:
        error = {"code": code, "message": "It is.", "hint": "Do.", "exit_status": status}
        found["error"] = error
    return found


@pytest.fixture
def submitted(tmp_path, monkeypatch):
    """Return the function that runs the operator's task; it gives its result and the calls."""
    program = tmp_path / "spark-submit"
    program.write_text(SUBMIT)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))

    def submitted(told, arguments=(), *, attempt=1, deploy="client", master="local[2]", **more):
        from sparkml_dist.airflow import JobOperator

        connection = {"conn_type": "spark", "host": master, "extra": {"deploy-mode": deploy}}
        monkeypatch.setenv("AIRFLOW_CONN_SPARK_DEFAULT", json.dumps(connection))
        monkeypatch.setenv("SUBMIT", json.dumps(told))
        task = JobOperator(
            task_id="t",
            application=more.pop("application", "/jobs/train_ensemble.py"),
            application_args=list(arguments),
            durable=False,
            **more,
        )
        return task.execute({"ti": SimpleNamespace(try_number=attempt)})

    submitted.calls = lambda: [
        json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()
    ]
    return submitted


def permanent(status: int, code: str) -> bool:
    return status in (2, 10, 11) or code in ("diverged", "output_exists")


CASES = [
    *((2, "usage"), (10, "unknown_estimator"), (11, "empty_data"), (12, "worker_died")),
    *((13, "diverged"), (13, "rank_lost"), (14, "disk_full"), (14, "output_exists")),
    (1, "unexpected"),
]


@pytest.mark.parametrize(("status", "code"), CASES)
def test_an_exit_status_is_an_exception(submitted, status, code):
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    with pytest.raises(AirflowException, match=rf"train_ensemble .* {status}: \[{code}\]") as found:
        submitted({"status": status, "printed": document(status, code)})
    assert (type(found.value) is AirflowFailException) == permanent(status, code)


@pytest.mark.parametrize(("status", "code"), CASES)
def test_a_driver_on_the_cluster_leaves_its_status_in_a_file(submitted, tmp_path, status, code):
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    (tmp_path / "metrics.json").write_text(json.dumps(document(run="yesterday")))
    files = {str(tmp_path / "metrics.failed.json"): document(status, code)}
    with pytest.raises(AirflowException, match=rf"{status}: \[{code}\]") as found:
        submitted(
            {"status": 1, "files": files},
            ["--output", tmp_path],
            deploy="cluster",
            master="yarn",
        )
    assert (type(found.value) is AirflowFailException) == permanent(status, code)


def test_the_files_of_another_run_say_nothing(submitted, tmp_path):
    from airflow.sdk.exceptions import AirflowException, AirflowFailException

    (tmp_path / "metrics.failed.json").write_text(json.dumps(document(11, "old", run="before")))
    for deploy in ("cluster", "client"):
        with pytest.raises(AirflowException, match="exit status 137; see the log") as found:
            submitted({"status": 137}, ["--output", tmp_path], deploy=deploy, master="yarn")
        assert type(found.value) is not AirflowFailException


def test_the_metrics_are_what_the_job_prints(submitted, tmp_path):
    printed = document() | {"metrics": {"accuracy": 0.5}}
    assert submitted({"status": 0, "printed": printed}, ["--output", tmp_path]) == printed


@pytest.mark.parametrize("option", ["--output", "--metrics-out"])
def test_or_those_in_the_file(submitted, tmp_path, option):
    place = tmp_path / "metrics.json"
    given = tmp_path if option == "--output" else place
    told = {"status": 0, "files": {str(place): document()}}
    assert submitted(told, [option, given], deploy="cluster", master="yarn") == document()
    assert submitted({"status": 0}, [option, f"file://{given}"]) == document()


def test_without_metrics_the_task_succeeds(submitted):
    assert submitted({"status": 0}, application="/jobs/somebody_elses.py") is None


def test_attempts_after_the_first_resume(submitted):
    told = {"status": 0, "printed": document()}
    for attempt, more in ((1, {}), (2, {}), (3, {"resume": False})):
        submitted(told, ["--members", 3], attempt=attempt, **more)
    submitted(told, ["--overwrite"], attempt=2)
    submitted(told, ["--model", "m"], attempt=2, application="/jobs/score.py")
    submitted(told, ["--ours"], attempt=2, application="/jobs/somebodys.py")
    assert [
        call[call.index(job) + 1 :]
        for call in submitted.calls()
        for job in call
        if job.startswith("/jobs/")
    ] == [
        ["--members", "3"],
        ["--members", "3", "--resume"],
        ["--members", "3"],
        ["--overwrite"],
        ["--model", "m", "--resume"],
        ["--ours"],
    ]


def test_without_spark_submit_the_error_says_what_to_do(submitted, monkeypatch, tmp_path):
    from airflow.sdk.exceptions import AirflowFailException

    (tmp_path / "spark-submit").unlink()
    with pytest.raises(AirflowFailException, match="Put the bin folder of an environment"):
        submitted({"status": 0})
