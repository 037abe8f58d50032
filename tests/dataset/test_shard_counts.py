"""What is counted of a shard's rows, dense and sparse."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from sparkml_dist.dataset.manifest import ShardInfo
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.dataset.shard_counts import ShardCounts
from sparkml_dist.errors import DataError

SCHEMA = FeatureSchema(tuple(FeatureColumn(n, "numeric") for n in "abc"))
INFO = ShardInfo(0, "f", 4, 1, 0, "", "", (2, 2))
X = np.array([[1, 0, 2], [0, np.nan, 3], [0, np.nan, np.nan], [4, 0, 5]], np.float32)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_the_same_counts_whatever_is_taken_at_a_time(kind):
    y = np.array([0, 2, 2, 1])
    counts = ShardCounts(SCHEMA, 3, "one batch")
    for half in (slice(0, 2), slice(2, 4)):
        counts.add(y[half], kind(X[half]))
    info = counts.fill(INFO)
    assert (info.class_rows, info.missing) == ((1, 1, 2), 3)
    assert counts.missing_features == [1, 2]
    assert info.block_bytes == (48 if kind is np.asarray else 8 * 8 + 2 * 12)


def test_a_regression_has_no_classes():
    counts = ShardCounts(SCHEMA, 0, "one batch")
    counts.add(np.array([0.5, -3.0]), X[:2])
    assert counts.fill(INFO).class_rows == ()


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_an_infinite_feature_is_named(kind):
    bad = X.copy()
    bad[3, 2] = -np.inf
    with pytest.raises(DataError, match=r"feature 'c' .* 1 such values in one batch") as caught:
        ShardCounts(SCHEMA, 3, "one batch").add(np.zeros(4, int), kind(bad))
    assert caught.value.code == "infinite_feature"


def test_large_values_whose_sum_overflows_are_not_infinite():
    big = np.full((4, 3), np.finfo(np.float32).max, np.float32)
    ShardCounts(SCHEMA, 1, "one batch").add(np.zeros(4, int), big)
