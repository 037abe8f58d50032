"""The sketches of a column against exact answers, merged in parts of any size."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.mining.profiling.column_plan import ColumnPlan
from sparkml_dist.mining.profiling.column_sketch import ColumnSketch
from sparkml_dist.mining.profiling.distinct_sketch import DistinctSketch
from sparkml_dist.mining.profiling.frequent_values import FrequentValues, as_texts
from sparkml_dist.mining.profiling.moments import Moments
from sparkml_dist.mining.profiling.pair_moments import PairMoments
from sparkml_dist.mining.profiling.quantile_sketch import QuantileSketch


@given(st.integers(0, 9999), st.integers(1, 400), st.integers(1, 9), st.sampled_from([0.0, 1e6]))
def test_moments_of_parts_are_those_of_the_whole(seed, n, parts, offset):
    x = np.random.default_rng(seed).gamma(1.0, size=n) + offset
    merged = Moments()
    for part in np.array_split(x, parts):
        merged = merged.merge(Moments.of(part))
    whole = Moments.of(x)
    assert (merged.n, merged.least, merged.most) == (n, x.min(), x.max())
    assert merged.mean == pytest.approx(x.mean())
    if n == 1:
        assert merged.sd is merged.skewness is merged.kurtosis is None
    else:
        for name in ("sd", "skewness", "kurtosis"):
            assert getattr(merged, name) == pytest.approx(getattr(whole, name), rel=1e-4, abs=1e-4)
        assert merged.sd == pytest.approx(x.std(ddof=1), rel=1e-6)


def test_moments_of_one_value_and_of_none():
    assert Moments.of(np.full(5, 0.1)).sd == 0
    assert Moments.of(np.full(5, 0.1)).skewness is None
    assert Moments().sd is None
    assert Moments.of(np.array([1e308, -1e308, 1e308])).sd is None  # more than a double holds


@given(st.integers(0, 9999), st.integers(1, 20_000), st.integers(1, 12))
def test_ranks_are_within_their_bound(seed, n, parts):
    x = np.round(np.random.default_rng(seed).normal(size=n), 2)
    merged = QuantileSketch(128)
    for part in np.array_split(x, parts):
        sketch = QuantileSketch(128)
        sketch.update(part)
        merged.merge(sketch)
    values, below = merged.points()
    assert merged.n == below[-1] == n
    true = np.searchsorted(np.sort(x), values, side="right")
    assert np.abs(true - below).max() <= 6 / 128 * n  # 2.1% in 99 of 100, and hundreds are drawn
    if n <= 128:
        np.testing.assert_array_equal(true, below)


@pytest.mark.parametrize("n", [1, 100, 5_000, 100_000])
def test_distinct_values_are_estimated_within_four_standard_errors(n):
    texts = [str(7919 * i) for i in range(n)]
    whole, halves = DistinctSketch(12), [DistinctSketch(12), DistinctSketch(12)]
    whole.update(texts)
    for half, part in zip(halves, (texts[: n // 2], texts[n // 3 :])):
        half.update(part)
    halves[0].merge(halves[1])
    halves[0].merge(DistinctSketch(12, whole.to_bytes()))  # nothing new
    for sketch in (whole, halves[0]):
        assert sketch.estimate() == pytest.approx(n, rel=4 * 1.04 / 64, abs=0.6)


def test_the_empty_text_is_a_value():
    sketch = DistinctSketch(11)
    sketch.update(["", "a"])
    sketch.update([""])
    assert round(sketch.estimate()) == 2


@given(st.lists(st.lists(st.integers(0, 40), max_size=200), max_size=6), st.integers(3, 6))
def test_counts_of_frequent_values_keep_their_bounds(parts, lg):
    merged = FrequentValues(lg)
    for part in parts:
        counts = Counter(part)
        sketch = FrequentValues(lg)
        sketch.update(pa.array(list(counts), pa.int64()), np.array([*counts.values()], np.int64))
        merged.merge(FrequentValues(lg, sketch.to_bytes()))
    true = Counter(str(v) for part in parts for v in part)
    found = dict(merged.top(2**lg))
    assert merged.total == true.total() and len(merged) == len(found)
    assert merged.error <= 3.5 * true.total() / 2**lg
    for value, n in true.items():
        assert found.get(value, 0) <= n <= found.get(value, 0) + merged.error
    if len(true) <= 0.75 * 2**lg:
        assert found == true


def test_long_texts_are_cut_and_stay_different():
    texts = as_texts(pa.array(["x" * 5000 + "a", "x" * 5000 + "b", None, "é" * 150])).to_pylist()
    assert texts[0] != texts[1] and texts[2] is None and texts[3] == "é" * 150
    assert texts[0].startswith("x" * 200 + "… (5,001 letters, ") and len(texts[0]) < 250
    digits = as_texts(pa.array([b"\x00\xff", b"\x01" * 999, None])).to_pylist()
    assert digits[0] == "00ff" and "… (999 bytes, " in digits[1] and digits[2] is None


def test_correlations_are_those_of_pandas_where_values_are_missing():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 4)) + 1e4
    X[:, 1] += 2 * X[:, 0]
    X[rng.random(X.shape) < 0.2] = np.nan
    X[:200, 2], X[:, 3] = np.nan, 0.1
    first, *rest = (PairMoments.of(part) for part in np.array_split(X, 6))
    for part in rest:
        first = first.merge(part)
    expected = pd.DataFrame(X[:, :3]).corr().to_numpy()
    np.testing.assert_allclose(first.correlations()[:3, :3], expected, atol=1e-9)
    assert np.isnan(first.correlations()[3]).all()  # one value: nothing to correlate


def test_a_sketch_survives_its_bytes():
    rng = np.random.default_rng(1)
    sketch = ColumnSketch(ColumnPlan(3, "a<b>", "double", "number"), 64, 11, 3)
    sketch.update(pa.array([1.5, None, float("nan"), float("inf"), -0.0, 0.0]))
    sketch.update(pa.array(rng.normal(size=1000)))
    again = ColumnSketch.from_bytes(sketch.to_bytes())
    assert again.plan == sketch.plan and again.moments == sketch.moments
    assert (again.rows, again.missing, again.nan, again.infinite) == (1006, 1, 1, 1)
    np.testing.assert_array_equal(again.quantiles.points(), sketch.quantiles.points())
    assert again.distinct.estimate() == sketch.distinct.estimate()
    assert again.frequent.top(8) == sketch.frequent.top(8)
    assert again.frequent.error == sketch.frequent.error > 0
    again.merge(ColumnSketch.from_bytes(sketch.to_bytes()))
    assert again.rows == 2012
    empty = ColumnSketch(sketch.plan, 64, 11, 3)
    assert len(empty.to_bytes()) < 500
    again.merge(ColumnSketch.from_bytes(empty.to_bytes()))
    assert again.rows == 2012 and again.quantiles.n == 2006
