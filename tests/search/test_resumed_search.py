"""A search whose driver was killed goes on, and repeats nothing that had ended."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sparkml_dist as sd
from sparkml_dist.errors import SparkMLDistError
from tests.search import killed_driver

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def shards(spark, tmp_path_factory):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=900), "label": rng.integers(0, 2, 900)})
    folder = str(tmp_path_factory.mktemp("shards") / "d")
    return sd.partition(spark.createDataFrame(frame), folder, label="label", shards=3)


def committed(model):
    """Members of each trial that were committed before the kill."""
    records = [json.loads(p.read_text()) for p in (model / "trials").glob("*.json")]
    return {(r["trial"], r["rung"]): r for r in records}


@pytest.mark.long
def test_a_killed_driver(shards, tmp_path):
    model, folder = tmp_path / "model", tmp_path / "fits"
    folder.mkdir()
    results = model / "trials"
    killed_driver.kill_after(
        lambda: len(list(results.glob("*.json"))), shards.location, str(model), str(folder)
    )
    before = committed(model)
    fits = len(list(folder.iterdir()))
    assert len(before) >= 4

    found = killed_driver.search(str(model), str(folder)).fit(shards)
    after = committed(model)
    assert {k: after[k] for k in before} == before  # untouched
    assert found.summary["results_kept"] == len(before)
    needed = sum(r["fits"] for k, r in after.items() if k not in before)
    assert len(list(folder.iterdir())) - fits == needed
    rows = found.trialsTable()
    assert [row["number"] for row in rows] == list(range(10))
    assert {row["state"] for row in rows} == {"done"}

    # A search that had ended fits nothing.
    again = killed_driver.search(str(model), str(folder)).fit(shards)
    assert len(list(folder.iterdir())) - fits == needed
    assert again.bestTrial == found.bestTrial
    assert again.trialsTable() == rows

    # Of one trial, no number of members is fitted twice but by the kill.
    counts = Counter(p.name.split("-")[0] for p in folder.iterdir())
    assert sum(counts.values()) <= sum(r["fits"] for r in after.values()) + 2


def test_another_space_is_another_search(shards, tmp_path):
    home = str(tmp_path / "m")

    def run(**given):
        from sklearn.tree import DecisionTreeClassifier

        settings = {"space": {"max_depth": [1, 2]}, "sampler": "grid", **given}
        return sd.HyperparameterSearch(
            estimator=DecisionTreeClassifier(), refit="none", modelDir=home, **settings
        ).fit(shards)

    run()
    with pytest.raises(SparkMLDistError) as caught:
        run(space={"max_depth": [1, 3]}, resume=True)
    assert caught.value.code == "plan_differs" and "max_depth" in caught.value.message
