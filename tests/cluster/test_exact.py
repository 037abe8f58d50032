"""Exact sums are those of `math.fsum`, in any order and any grouping."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from sparkml_dist.cluster.sums.exact import FLOAT32_RANGE, FULL_RANGE, ExactRange
from sparkml_dist.errors import ConfigurationError


def numbers(seed: int, n: int = 3000, spread: int = 60) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)) * np.exp(rng.uniform(-spread, spread, (n, 3)))


def test_sums_are_those_of_fsum() -> None:
    values = np.concatenate([numbers(0), -numbers(0)[:1500], numbers(1, spread=300)])
    values[0] = [5e-324, 1.7e308, -1.7e308]
    sums = FULL_RANGE.rounded(FULL_RANGE.total(values))
    assert sums.tolist() == [math.fsum(column) for column in values.T]


def test_no_cut_and_no_order_changes_a_bit() -> None:
    values = numbers(2)
    order = np.random.default_rng(0).permutation(len(values))
    whole = FULL_RANGE.total(values)
    parts = [FULL_RANGE.total(part) for part in np.array_split(values[order], 7)]
    assert np.array_equal(FULL_RANGE.carried(sum(parts)), whole)
    assert FULL_RANGE.rounded(FULL_RANGE.total(np.zeros((0, 2)))).tolist() == [0, 0]


def test_groups_are_summed_by_themselves() -> None:
    values, groups = numbers(3), np.arange(3000) % 4
    sums = FULL_RANGE.rounded(FULL_RANGE.total(values, groups, 5))
    for group in range(4):
        part = values[groups == group]
        assert sums[group].tolist() == [math.fsum(column) for column in part.T]
    assert not sums[4].any()


def test_products_with_counts_do_not_round() -> None:
    values = numbers(4, 20_000, spread=5)
    counts = np.random.default_rng(0).poisson(1.0, (20_000, 3)).astype(np.uint8)
    found = FULL_RANGE.rounded(FULL_RANGE.products(counts, values))
    for b in range(3):
        repeated = np.repeat(values, counts[:, b], axis=0)
        assert found[b].tolist() == [math.fsum(column) for column in repeated.T]


def test_narrow_range_rounds_each_number_by_itself() -> None:
    near = ExactRange.around(4)
    assert near.low + 32 * (near.limbs - 1) == 4
    values = np.array([[1.25], [2.0**-120], [-3.5]])
    assert near.rounded(near.total(values)).tolist() == [-2.25]
    assert FLOAT32_RANGE.rounded(FLOAT32_RANGE.total(np.array([[3e37]] * 9))).tolist() == [
        float(9 * Fraction(3e37))
    ]
    with pytest.raises(ConfigurationError, match="too large"):
        near.total(np.array([[17.0]]))
