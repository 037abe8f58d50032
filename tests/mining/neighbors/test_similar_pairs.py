"""Near-duplicates against comparing every pair."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.mining import similar_pairs
from sparkml_dist.mining.neighbors.minhash import Bands
from tests.long import cases


def drawn(seed: int, families: int = 60) -> list[list[int]]:
    """Sets in families: a parent and some that differ in a few items."""
    rng = random.Random(seed)
    found = []
    for _ in range(families):
        parent = rng.sample(range(2000), 30)
        found.append(parent)
        for changes in (0, 1, 2, 4, 8):
            kept = rng.sample(parent, 30 - changes)
            found.append(kept + rng.sample(range(2000, 4000), changes))
    return found


@pytest.fixture(scope="module")
def sets():
    return drawn(1)


@pytest.fixture(scope="module")
def frame(spark, sets):
    rows = [(i, [*s, s[0], None]) for i, s in enumerate(sets)]
    odd = [(-1, None), (-2, []), (-3, [None])]
    return spark.createDataFrame([*rows, *odd], "id int, items array<int>").repartition(3).persist()


def jaccard(a, b) -> float:
    return len({*a} & {*b}) / len({*a} | {*b})


def similar(sets, threshold) -> dict:
    pairs = itertools.combinations(range(len(sets)), 2)
    found = {(i, j): jaccard(sets[i], sets[j]) for i, j in pairs}
    return {pair: s for pair, s in found.items() if s >= threshold}


def as_dict(pairs) -> dict:
    rows = pairs.collect()
    found = {(r.keyA, r.keyB): r.jaccard for r in rows}
    assert len(found) == len(rows)
    return found


@pytest.mark.modes("local-cluster")
@pytest.mark.parametrize("threshold", cases([0.5, 0.8], [0.5]))
def test_pairs_are_those_of_comparing_all(frame, sets, threshold):
    found = as_dict(similar_pairs(frame, threshold=threshold, recall=0.97))
    expected = similar(sets, threshold)
    assert found.items() <= expected.items()
    assert len(found) >= 0.97 * len(expected) - 3
    equal = {pair for pair, s in expected.items() if s == 1.0}
    assert len(equal) == 60
    assert equal <= found.keys()


def test_two_tables(spark, frame, sets):
    left, right = frame.where("id % 6 = 0"), frame.where("id % 6 > 0 OR id < 0")
    found = as_dict(similar_pairs(left, right, threshold=0.8, recall=0.99))
    expected = {p: s for p, s in similar(sets, 0.8).items() if p[0] % 6 == 0 and p[1] % 6 > 0}
    assert found.items() <= expected.items()
    assert len(found) >= 0.98 * len(expected)
    text = spark.createDataFrame([(1, ["a"])], "id int, items array<string>")
    with pytest.raises(DataError, match="The items of df are array<int>"):
        similar_pairs(left, text)


def test_many_equal_sets_are_one(spark):
    rows = [(f"s{i}", ["x", "y"]) for i in range(40)] + [("t", ["x", "y", "z"])]
    frame = spark.createDataFrame(rows, "id string, items array<string>")
    found = as_dict(similar_pairs(frame, threshold=0.6, recall=0.999))
    assert len(found) == 41 * 40 // 2
    assert all(a < b for a, b in found)
    assert sum(s == 1.0 for s in found.values()) == 40 * 39 // 2


@given(st.floats(0.2, 0.999), st.floats(0.5, 0.999))
def test_bands_reach_the_recall_and_are_the_most_selective_that_do(threshold, recall):
    bands = Bands.choose(threshold, recall, 512)
    assert bands.bands * bands.rows <= 512
    assert bands.recall_at(threshold) >= recall - 1e-9
    assert Bands(bands.bands - 1, bands.rows).recall_at(threshold) < recall
    assert bands.recall_at(1.0) == 1.0


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"threshold": 0.0}, r"threshold must be in \(0, 1\]"),
        ({"recall": 1.0}, r"recall must be in \(0, 1\)"),
        ({"threshold": 0.01, "maxHashes": 100}, "100 hashes do not reach"),
    ],
)
def test_params(frame, params, message):
    with pytest.raises(ConfigurationError, match=message):
        similar_pairs(frame, **params)


def test_columns(frame):
    with pytest.raises(DataError, match="Did you mean 'items'"):
        similar_pairs(frame, itemsCol="item")
    with pytest.raises(DataError, match="must be an array of items"):
        similar_pairs(frame, itemsCol="id")
