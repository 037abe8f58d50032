"""Drift against SciPy and by hand, without Spark: from the sketches of columns."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from sparkml_dist.mining.profiling.column_plan import ColumnPlan
from sparkml_dist.mining.profiling.column_sketch import ColumnSketch
from sparkml_dist.mining.profiling.column_summary import cumulative, summarize
from sparkml_dist.mining.profiling.drift import drift
from sparkml_dist.mining.profiling.profile import Profile


def of(values, kind="number", name="x", parts=1):
    """The profile of one column, sketched in parts."""
    whole = ColumnSketch(ColumnPlan(0, name, "double", kind), 1024, 14, 10)
    cuts = [len(values) * i // parts for i in range(parts + 1)]
    for start, end in itertools.pairwise(cuts):
        part = ColumnSketch(whole.plan, 1024, 14, 10)
        part.update(pa.array(values[start:end], from_pandas=True))
        whole.merge(ColumnSketch.from_bytes(part.to_bytes()))
    return Profile(whole.rows, [summarize(whole, 32)], {})


def told(old, new):
    (column,) = drift(old, new).columns
    return column


@given(st.integers(0, 9999), st.integers(1, 250), st.integers(1, 250), st.sampled_from([0, 3]))
def test_the_distance_of_few_numbers_is_scipys(seed, n, m, digits):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=n).round(digits), rng.normal(0.3, size=m).round(digits)
    assert told(of(x), of(y))["ks"] == pytest.approx(ks_2samp(x, y).statistic, abs=1e-12)


@pytest.mark.parametrize("n", [1_000, 200_000])
def test_the_distance_of_many_numbers_is_scipys_within_the_error(n):
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=n), rng.normal(0.1, 1.3, size=n)
    # Many zeros amid numbers: a jump of the distribution that must not be smeared.
    x[::3], y[::2] = 0, 0
    for old, new in ((x, y), (x, x[::-1].copy()), (x, np.append(x, x[:7]))):
        found = told(of(old, parts=3), of(new, parts=5))
        assert found["ks"] == pytest.approx(ks_2samp(old, new).statistic, abs=0.012)


def test_the_stability_index_by_hand():
    # Tenths of 0 to 99 hold ten each; of the new numbers, 40, 20 and 40 of 100 lie in three.
    old = np.arange(100.0)
    new = np.repeat([5.0, 15.0, 95.0], [40, 20, 40])
    shares = np.full(10, 1e-4)
    shares[[0, 1, 9]] = 0.4, 0.2, 0.4
    expected = np.sum((shares - 0.1) * np.log(shares / 0.1))
    found = told(of(old), of(new))
    assert found["psi"] == pytest.approx(expected) and found["level"] == "much"
    assert told(of(old), of(old[::-1].copy()))["psi"] == 0


def test_the_index_of_texts_and_of_missing_ones_by_hand():
    old, new = ["a"] * 60 + ["b"] * 30 + [None] * 10, ["a"] * 45 + ["b"] * 50 + [None] * 5
    p, q = np.array([0.6, 0.3, 0.1]), np.array([0.45, 0.5, 0.05])
    found = told(of(old, "text"), of(new, "text"))
    assert found["psi"] == pytest.approx(np.sum((q - p) * np.log(q / p)))
    assert found["level"] == "some" and found["missing"] == [0.1, 0.05]
    # Of those with a text: 60 and 30 of 90 were, 45 and 50 of 95 are.
    assert found["distance"] == pytest.approx(60 / 90 - 45 / 95)


def test_numbers_that_went_missing_and_a_constant_that_moved():
    old, none = of(np.arange(50.0)), of(np.full(50, np.nan))
    assert told(old, none)["level"] == told(none, old)["level"] == "much"
    moved = told(of(np.full(9, 1.0)), of(np.full(9, 2.0)))
    assert moved["ks"] == 1 and moved["level"] == "much"


def test_a_name_that_occurs_twice_is_compared_by_place():
    a, b = of(np.arange(9.0)), of(np.arange(9.0) + 100)
    twice = Profile(9, a.columns + b.columns, {})
    found = drift(twice, twice)
    assert [(c["name"], c["psi"]) for c in found.columns] == [("x", 0), ("x (2)", 0)]
    assert drift(twice, a).gone == ["x (2)"] and "x (2)" in found.to_html()


def test_a_distribution_jumps_at_values_and_is_a_line_between_them():
    line = {"values": [0.0, 1.0, 1e308], "before": [0.0, 0.5, 1.0], "below": [0.25, 0.75, 1.0]}
    at = np.array([-1.0, 0.0, 0.5, 1.0, 2.0, 1e308, np.inf])
    np.testing.assert_allclose(cumulative(line, at), [0, 0.25, 0.375, 0.75, 0.75, 1, 1])
    left = cumulative(line, at, side="left")
    np.testing.assert_allclose(left, [0, 0, 0.375, 0.5, 0.75, 1, 1])
