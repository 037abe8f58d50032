"""A driver that searches until it is killed: ``python killed_driver.py SHARDS MODEL FOLDER``."""

from __future__ import annotations

import sys
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


if __name__ == "__main__":
    shards, model, folder = sys.argv[1:]
    conf = {"spark.ui.enabled": "false", "spark.driver.memory": "700m"}
    builder = SparkSession.builder.master("local[2]").config(map=conf)
    builder.getOrCreate()
    search(model, folder).fit(sd.open_partitioned(shards))
