"""DAGs run by a real Airflow, whose tasks submit real jobs to a real Spark.

``make test-orchestrators`` runs this file, with the environment that has Airflow.
"""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def airflow(environment, tmp_path_factory):
    """The environment of an Airflow with an empty metadata database (SQLite) and two DAG files."""
    home = tmp_path_factory.mktemp("airflow")
    dags = home / "dags"
    dags.mkdir()
    for file in ("examples/airflow_dag.py", "tests/orchestrators/faults_dag.py"):
        shutil.copy(ROOT / file, dags)
    env = environment | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_SPARK_DEFAULT": json.dumps({"conn_type": "spark", "host": "local[2]"}),
        "SPARKML_DIST_OUTPUT": str(home / "out"),
        "SPARKML_DIST_FITS": str(home / "fits"),
    }
    (home / "fits").mkdir()
    subprocess.run(["airflow", "db", "migrate"], env=env, check=True, capture_output=True)
    return env


@pytest.fixture
def tried(airflow):
    """Return the function that gives state and number of the last attempt of each task."""

    def tried(dag: str) -> dict[str, tuple[str, int]]:
        with sqlite3.connect(Path(airflow["AIRFLOW_HOME"], "airflow.db")) as database:
            rows = database.execute(
                "select task_id, state, try_number from task_instance where dag_id = ? "
                "order by rowid",  # the last run of a task comes last
                [dag],
            )
            return {task: (state, number) for task, state, number in rows}

    return tried


def out(env, *parts) -> Path:
    return Path(env["SPARKML_DIST_OUTPUT"], *parts)


def test_importing_the_operator_brings_neither_spark_nor_tensorflow(environment):
    code = (
        "import sys, sparkml_dist\n"
        "assert not {'airflow', 'dagster', 'pyarrow'} & {m.split('.')[0] for m in sys.modules}\n"
        "from sparkml_dist.airflow import JobOperator\n"
        "from sparkml_dist.dagster import JobClient\n"
        "print({m.split('.')[0] for m in sys.modules} & {'pyspark', 'tensorflow', 'sklearn'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.fixture(scope="module")
def machines(airflow):
    """The run of the example."""
    command = ["airflow", "dags", "test", "machines", "2026-11-30"]
    done = subprocess.run(command, env=airflow, check=False, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


def test_the_example_profiles_trains_registers_and_scores(airflow, machines, tried):
    steps = ("profile", "train", "good_enough", "register", "score")
    assert tried("machines") == dict.fromkeys(steps, ("success", 1))
    (run,) = out(airflow, "runs").iterdir()
    metrics = json.loads((run / "trees" / "metrics.json").read_text())
    current = json.loads(out(airflow, "models", "current.json").read_text())
    assert current["metrics"] == metrics["metrics"]
    assert Path(current["model"], "manifest.json").exists()
    assert Path(current["model"]).name == metrics["run_id"]
    assert list((run / "scored").glob("*.parquet"))
    assert (run / "profile" / "profile.html").exists()


def test_the_metrics_are_the_xcom(airflow, machines):
    with sqlite3.connect(Path(airflow["AIRFLOW_HOME"], "airflow.db")) as database:
        rows = database.execute("select task_id, value from xcom where key = 'return_value'")
        found = {task: json.loads(value) for task, value in rows}
    (run,) = out(airflow, "runs").iterdir()
    metrics = json.loads((run / "trees" / "metrics.json").read_text())
    stored = found["train"] if isinstance(found["train"], dict) else json.loads(found["train"])
    stored["seconds"].pop("total", None)
    metrics["seconds"].pop("total", None)
    assert stored == metrics
    assert 0.5 < stored["metrics"]["accuracy"] <= 1


def test_a_model_below_the_gate_is_not_registered(airflow, machines, run, tried):
    env = airflow | {
        "SPARKML_DIST_LEAST_ACCURACY": "1.1",
        "SPARKML_DIST_OUTPUT": str(out(airflow, "b")),
    }
    run("airflow", "dags", "test", "machines", "2026-11-29", env=env)
    found = tried("machines")
    assert found["good_enough"][0] == "success"
    assert found["register"][0] == found["score"][0] == "skipped"
    assert not Path(env["SPARKML_DIST_OUTPUT"], "models").exists()


@pytest.mark.parametrize("dag", ["usage", "data"])
def test_an_error_that_would_come_again_is_not_tried_again(airflow, run, tried, dag):
    done = run("airflow", "dags", "test", dag, env=airflow, check=False)
    assert tried(dag) == {"train": ("failed", 1)}
    if dag == "usage":
        assert "AirflowFailException" in done.stdout
        assert "[usage] unrecognized arguments: --mambers 3" in done.stdout


def test_a_lack_of_resources_is_tried_again_and_goes_on(airflow, run, tried):
    done = run("airflow", "dags", "test", "resources", env=airflow)
    assert tried("resources") == {"train": ("success", 2)}
    commands = [line for line in done.stdout.splitlines() if "Spark-Submit cmd:" in line]
    assert ["--resume" in command for command in commands] == [False, True]
    assert "ended with exit status 12" in done.stdout
    fits = len(list(Path(airflow["SPARKML_DIST_FITS"]).iterdir()))
    assert 8 <= fits < 2 * (6 + 1)  # a trial and six members, not all of them twice
    metrics = json.loads(out(airflow, "resources", "metrics.json").read_text())
    assert (metrics["status"], metrics["members"]) == ("ok", 6)


def test_a_stopped_task_leaves_no_process(airflow, processes_with, tried, wait_until):
    home = airflow["AIRFLOW_HOME"]
    task = subprocess.Popen(
        ["airflow", "dags", "test", "killed"],
        env=airflow,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    members = out(airflow, "killed", "model")
    wait_until(members.exists, what="the first member")
    # Airflow, Spark's Java side, the driver, the daemon of its workers.
    assert len(processes_with(home)) >= 4
    task.send_signal(signal.SIGTERM)
    log = task.communicate(timeout=60)[0]
    assert tried("killed") == {"train": ("failed", 1)}, log[-3000:]
    assert processes_with(home) == []
    metrics = json.loads(out(airflow, "killed", "metrics.json").read_text())
    assert metrics["error"]["code"] == "interrupted", log[-3000:]
    assert not list(out(airflow, "killed").glob(".lock-*"))


def test_a_task_out_of_time_leaves_no_process_and_is_tried_again(
    airflow, processes_with, run, tried
):
    run("airflow", "dags", "test", "slow", env=airflow, check=False)
    assert tried("slow") == {"train": ("failed", 2)}
    assert processes_with(airflow["AIRFLOW_HOME"]) == []


def test_without_spark_submit_the_task_fails_at_once(airflow, run, tried):
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = run("airflow", "dags", "test", "usage", env=airflow | {"PATH": path}, check=False)
    assert tried("usage") == {"train": ("failed", 1)}
    assert "Put the bin folder of an environment with PySpark there" in done.stdout
