"""A driver that searches until it is killed: ``python killed_driver.py SHARDS MODEL FOLDER``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from pyspark.sql import SparkSession

import sparkml_dist as sd
from tests.search.learners_of_trials import TYPES, Counting


def search(model: str, folder: str, **given: object) -> sd.HyperparameterSearch:
    """Return the search, whose fits leave files in a folder."""
    return sd.HyperparameterSearch(
        estimator=Counting(folder=folder, seconds=0.4),
        space={"number": list(range(10))},
        sampler="random",
        numTrials=10,
        minResource=1,
        maxResource=3,
        trustedTypes=TYPES,
        modelDir=model,
        resume=True,
        refit="none",
        **given,
    )


def kill_after(results: Callable[[], int], shards: str, model: str, folder: str) -> None:
    """Search in a driver that is killed once so many results are committed: at least four."""
    driver = subprocess.Popen(
        [sys.executable, __file__, shards, model, folder],
        env={k: v for k, v in os.environ.items() if k != "PYSPARK_SUBMIT_ARGS"},
        cwd=Path(__file__).resolve().parent.parent.parent,
        start_new_session=True,
    )
    until = time.monotonic() + 120
    while results() < 4 and driver.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    assert driver.poll() is None
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    time.sleep(1.0)  # its workers end


if __name__ == "__main__":
    shards, model, folder = sys.argv[1:]
    conf = {"spark.ui.enabled": "false", "spark.driver.memory": "700m"}
    builder = SparkSession.builder.master("local[2]").config(map=conf)
    builder.getOrCreate()
    search(model, folder).fit(sd.open_partitioned(shards))
