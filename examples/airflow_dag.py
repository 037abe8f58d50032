"""A DAG of Airflow: profile a table, train, and where the model is good enough, register and score.

Put it into the DAGs folder. docs/orchestrators.md says what the Airflow worker needs. The places
come from the environment of Airflow, so that this file needs no change:

SPARKML_DIST_HOME     the project's folder, with jobs/
SPARKML_DIST_TABLE    the table to learn from
SPARKML_DIST_OUTPUT   folder for what the runs write, and for the registered models
"""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, task

from sparkml_dist.airflow import JobOperator

HOME = os.environ.get("SPARKML_DIST_HOME", "/opt/sparkml_dist")
TABLE = os.environ.get("SPARKML_DIST_TABLE", f"{HOME}/data/machines.csv")
OUTPUT = os.environ.get("SPARKML_DIST_OUTPUT", "/tmp/machines")
LEAST_ACCURACY = float(os.environ.get("SPARKML_DIST_LEAST_ACCURACY", "0.7"))

# A folder for each run: an attempt that follows another one finds and continues its work.
RUN = OUTPUT + "/runs/{{ dag_run.run_after | ts_nodash }}"
MODELS = f"{OUTPUT}/models"


def job(task_id: str, name: str, *options: Any) -> JobOperator:
    """Return a task that runs a job."""
    return JobOperator(
        task_id=task_id,
        application=f"{HOME}/jobs/{name}.py",
        properties_file=f"{HOME}/spark-defaults.conf",
        application_args=[*options],
    )


@task.short_circuit
def good_enough(trained: dict[str, Any]) -> bool:
    """Tell whether to go on with the model."""
    return bool(trained["metrics"]["accuracy"] >= LEAST_ACCURACY)


@task
def register(run: str, trained: dict[str, Any]) -> str:
    """Copy the model to the registered ones, and let ``current.json`` name it."""
    version = Path(MODELS, trained["run_id"])
    if not version.exists():
        copy = version.with_name(f".{version.name}")
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(f"{run}/trees/model", copy)
        copy.rename(version)
    current = {"model": str(version), "metrics": trained["metrics"]}
    written = Path(MODELS, ".current.json")
    written.write_text(json.dumps(current))
    written.replace(Path(MODELS, "current.json"))
    return str(version)


with DAG(
    "machines",
    schedule="@daily",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
):
    profile = job(
        *("profile", "profile", "--input", TABLE, "--target", "state"),
        *("--output", f"{RUN}/profile"),
    )
    train = job(
        "train",
        "train_ensemble",
        *("--train", TABLE, "--label", "state", "--key", "machine", "--categorical", "site"),
        *("--members", 10, "--shards", 2, "--output", f"{RUN}/trees"),
    )
    registered = register(RUN, train.output)
    score = job(
        *("score", "score", "--model", registered, "--input", TABLE),
        *("--output", f"{RUN}/scored"),
    )
    profile >> train >> good_enough(train.output) >> registered >> score
