"""Scores of single columns against scikit-learn and SciPy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from sparkml_dist.mining.profiling.leakage import separation

NONE = pa.nulls(400, pa.float64())
NO_TEXT = pa.nulls(400, pa.string())


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_numbers_are_scored_by_the_area_under_the_curve(rng):
    y = rng.integers(0, 2, 400).astype(float)
    x = np.round(rng.normal(size=400) - y, 1)
    found = separation(pa.array(x), NO_TEXT, pa.array(y), NO_TEXT)
    assert found["score"] == pytest.approx(1 - roc_auc_score(y, x), abs=1e-6)
    classes = rng.integers(0, 4, 400)
    areas = [roc_auc_score(classes == c, x) for c in range(4)]
    best = max(max(a, 1 - a) for a in areas)
    found = separation(pa.array(x), NO_TEXT, NONE, pa.array(classes.astype(str)))
    assert found["score"] == pytest.approx(best, abs=1e-6)


def test_a_target_of_numbers_is_scored_by_rank_correlation(rng):
    y, x = rng.normal(size=400), rng.normal(size=400)
    x[:200] = -(y[:200] ** 3)
    held = np.where(np.arange(400) % 5, x, np.nan)
    found = separation(pa.array(held, from_pandas=True), NO_TEXT, pa.array(y), NO_TEXT)
    known = ~np.isnan(held)
    assert found["score"] == pytest.approx(abs(spearmanr(x[known], y[known])[0]), abs=1e-6)


def test_texts_and_missing_ones_that_tell_the_target(rng):
    y = np.arange(400) % 2.0
    kind = pa.array([f"k{int(v)}" for v in y])
    assert separation(NONE, kind, pa.array(y), NO_TEXT)["score"] == 1
    keys = pa.array([f"k{i}" for i in range(400)])  # of each, one row: nothing carries over
    assert separation(NONE, keys, pa.array(y), NO_TEXT)["score"] == 0
    x = pa.array(rng.normal(size=400), mask=y == 1)
    assert separation(x, NO_TEXT, pa.array(y), NO_TEXT) == {
        "score": 1, "by": "missing", "rows": 400,
    }  # fmt: skip


def test_a_class_of_few_rows_is_not_told_from_chance(rng):
    y = np.zeros(400)
    y[7] = 1.0
    x = np.arange(400.0) == 7
    assert separation(pa.array(x.astype(float)), NO_TEXT, pa.array(y), NO_TEXT)["score"] == 0
