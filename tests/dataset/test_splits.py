"""Folds and hold-outs by hashed key."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sparkml_dist import folds, holdout, split
from sparkml_dist.dataset.splits import row_key
from sparkml_dist.errors import ConfigurationError, DataError


@pytest.mark.modes
def test_split_is_a_partition_that_does_not_depend_on_order(spark):
    frame = spark.range(5000).selectExpr("id", "rand(3) AS x").cache()
    train, test = split(frame, 0.2, seed=7)
    held = {r.id for r in test.select("id").collect()}
    assert held.isdisjoint(r.id for r in train.select("id").collect())
    assert train.count() + len(held) == 5000
    assert abs(len(held) - 1000) < 5 * np.sqrt(5000 * 0.2 * 0.8)
    again = split(frame.orderBy("x").repartition(3), 0.2, seed=7)[1]
    assert {r.id for r in again.select("id").collect()} == held
    other = split(frame, 0.2, seed=8)[1]
    assert {r.id for r in other.select("id").collect()} != held


def test_rows_of_one_key_stay_together(spark):
    frame = spark.range(1000).selectExpr("id % 50 AS user", "id AS x")
    train, test = split(frame, 0.3, key="user")
    users = {r.user for r in test.select("user").collect()}
    assert users
    assert users.isdisjoint(r.user for r in train.select("user").collect())


def test_folds_are_even_and_reproducible():
    keys = np.random.default_rng(0).integers(-(2**62), 2**62, 20_000)
    found = folds(keys, 5, seed=3)
    assert set(found) == set(range(5))
    assert stats.chisquare(np.bincount(found)).pvalue > 1e-3
    assert np.array_equal(found[::-1], folds(keys[::-1], 5, seed=3))
    # In any version: a fit that is resumed holds out the rows that it held out before.
    some = [0, 1, -1, 7, 2**62, -(2**62), 12345, 99]
    assert folds(some, 5, seed=3).tolist() == [3, 1, 1, 0, 1, 1, 1, 4]
    assert holdout(some, 0.25, seed=3).tolist() == [False] * 7 + [True]
    held = holdout(keys, 0.25, seed=3)
    assert abs(held.mean() - 0.25) < 0.02
    assert abs(np.corrcoef(held, found == 0)[0, 1]) < 0.05


def test_refusals(spark):
    with pytest.raises(ConfigurationError):
        split(spark.range(3), 1.5)
    with pytest.raises(ConfigurationError):
        folds([1], 1)
    with pytest.raises(DataError, match="column_not_found"):
        split(spark.range(3), 0.5, key="nope")


@pytest.mark.modes("connect")
def test_maps_at_any_depth_have_a_key(spark):
    entries = "map('a', id, 'b', map('x', id)['y'])", "map('b', null, 'a', id)"
    one, other = (
        spark.range(300).selectExpr(
            f"{m} AS m",
            f"array(named_struct('deep', {m}, 'd', 1.5D), null) AS nest",
            f"IF(id % 3 = 0, null, map(id, {m})) AS maps",
            "parse_json('{\"a\": 1}') AS v",
            "date'2024-01-01' AS day",
        )
        for m in (entries[0], entries[1].replace("null", "cast(null as bigint)"))
    )
    keys = [
        [r[0] for r in df.select(row_key(df).alias("k")).orderBy("k").collect()]
        for df in (one, other)
    ]
    assert len(set(keys[0])) == 300
    assert keys[0] == keys[1]  # whichever entry a map was given first
    train, test = split(one, 0.3, seed=1)
    assert train.count() + test.count() == 300
    assert 50 < test.count() < 140


def test_splitting_by_a_name_that_two_columns_have(spark):
    df = spark.range(20).selectExpr("id", "id AS ID", "id AS other")
    assert sum(part.count() for part in split(df, 0.5, key="other")) == 20
    with pytest.raises(DataError, match="duplicate_columns"):
        split(df, 0.5)
