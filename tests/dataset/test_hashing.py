"""Draws are the same in Spark and in numpy, and uniform."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sparkml_dist.dataset.hashing import salt, spark_uniform, uniform, xxhash64


def test_known_values_of_sparks_xxhash64():
    # SELECT xxhash64(1L, 7L), xxhash64(-5L) on Spark 4.3.
    assert xxhash64([1], 7).view(np.int64).tolist() == [9148010362968143645]
    assert xxhash64([-5]).view(np.int64).tolist() == [-5259934538394028452]


@pytest.mark.modes
def test_numpy_equals_spark(spark):
    from pyspark.sql import functions as F

    keys = np.random.default_rng(0).integers(-(2**63), 2**63 - 1, 500, dtype=np.int64)
    frame = spark.createDataFrame([(int(k),) for k in keys], "k long")
    rows = frame.select(
        "k", F.xxhash64("k", F.lit(9).cast("long")), spark_uniform(F.col("k"), 3, "fold", 2)
    ).collect()
    got = np.array([r[0] for r in rows], np.int64)
    assert xxhash64(got, 9).view(np.int64).tolist() == [r[1] for r in rows]
    assert uniform(got, 3, "fold", 2).tolist() == [r[2] for r in rows]


def test_draws_are_uniform_and_independent_of_purpose_and_index():
    keys = np.arange(20_000)
    draws = [uniform(keys, 1, "bag", 0), uniform(keys, 1, "bag", 1), uniform(keys, 1, "fold", 0)]
    for draw in draws:
        assert stats.kstest(draw, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(draws)[np.triu_indices(3, 1)]).max() < 0.03


def test_salt_tells_purposes_apart():
    purposes = ["", "a", "b", "bag", "bags", "fold", "12345678", "123456789", "holdout"]
    assert len({salt(p) for p in purposes}) == len(purposes)
    assert all(0 <= salt(p) < 2**63 for p in purposes)
