"""Tasks that fail, one to a DAG; what they write is in SPARKML_DIST_OUTPUT."""

import json
import os
from datetime import datetime, timedelta

from airflow.sdk import DAG

from sparkml_dist.airflow import JobOperator

HOME, OUTPUT = os.environ["SPARKML_DIST_HOME"], os.environ["SPARKML_DIST_OUTPUT"]
FITS = os.environ.get("SPARKML_DIST_FITS", OUTPUT)
TRAIN = [
    *("--train", f"{HOME}/data/machines.csv", "--label", "state", "--key", "machine"),
    *("--categorical", "site", "--shards", 2),
]
CASES = {
    "usage": [*TRAIN, "--output", f"{OUTPUT}/usage", "--mambers", 3],
    "data": [*TRAIN, "--label", "no_such_column", "--output", f"{OUTPUT}/data"],
    "resources": [
        *(*TRAIN, "--members", 6, "--output", f"{OUTPUT}/resources"),
        *("--estimator", "tests.orchestrators.dies_once.DiesOnce"),
        *("--estimator-params", json.dumps({"folder": FITS})),
    ],
    "killed": [*TRAIN, "--members", 500, "--output", f"{OUTPUT}/killed"],
    "slow": [*TRAIN, "--members", 500, "--output", f"{OUTPUT}/slow"],
}

for name, options in CASES.items():
    with DAG(name, schedule=None, start_date=datetime(2026, 1, 1)):
        JobOperator(
            task_id="train",
            application=f"{HOME}/jobs/train_ensemble.py",
            application_args=options,
            conf={
                "spark.sparkml_dist.trustedTypes": "tests.orchestrators.dies_once.DiesOnce",
                "spark.ui.enabled": "false",
            },
            properties_file=f"{HOME}/spark-defaults.conf",
            env_vars={"PYTHONPATH": HOME},
            retries=0 if name == "killed" else 1,
            retry_delay=timedelta(seconds=0),
            execution_timeout=timedelta(seconds=25) if name == "slow" else None,
        )
