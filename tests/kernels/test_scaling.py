"""Rows as kernels take them: standardized, complete, categories as indicators."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.errors import DataError
from sparkml_dist.kernels.scaling import Scaling
from sparkml_dist.kernels.settings import KernelSettings, fitted_scaling
from tests.kernels.rows import MemoryRows

RNG = np.random.default_rng(6)
X = RNG.normal(1e4, 3.0, size=(90, 3))


def settings(standardization=True, impute=False):
    return KernelSettings("rbf", 1.0, 1.5, 1, standardization, impute)


def test_it_is_that_of_scikit_learn():
    X[:, 2] = 7.0  # it never varies
    found = fitted_scaling(MemoryRows(X, np.zeros(90)), settings())
    assert found.apply(X) == pytest.approx(StandardScaler().fit_transform(X), abs=1e-9)


def test_missing_values_are_refused_or_filled_in():
    holes = X.copy()
    holes[::7, 0] = np.nan
    source = MemoryRows(holes, np.zeros(90))
    with pytest.raises(DataError, match="13 of 90 rows") as caught:
        fitted_scaling(source, settings())
    assert caught.value.code == "not_finite"
    for standardization in (True, False):
        found = fitted_scaling(source, settings(standardization, impute=True))
        mean = np.nanmean(holes[:, 0])
        filled = np.where(np.isnan(holes), mean, holes)
        assert found.apply(holes) == pytest.approx(found.apply(filled))
    holes[0, 1] = np.inf
    with pytest.raises(DataError, match="not_finite"):
        fitted_scaling(source, settings(impute=True))
    with pytest.raises(DataError, match="not_finite"):
        Scaling.none(3).apply(holes)


def test_rows_of_two_categories_are_at_a_distance_of_one():
    class Mixed(MemoryRows):
        @property
        def schema(self):
            kind = FeatureColumn("kind", "categorical", 1, ("a", "b", "c"))
            return FeatureSchema((FeatureColumn("x", "numeric"), kind))

    rows = np.column_stack([RNG.normal(size=40), np.arange(40) % 3]).astype(np.float32)
    rows[3, 1] = np.nan
    found = fitted_scaling(Mixed(rows, np.zeros(40)), settings())
    points = found.apply(rows)
    assert found.width == points.shape[1] == 4
    assert points[:, 0] == pytest.approx(
        StandardScaler().fit_transform(rows[:, :1])[:, 0], abs=1e-6
    )
    kinds = points[:, 1:]
    assert np.linalg.norm(kinds[0] - kinds[1]) == pytest.approx(1.0)
    assert not kinds[3].any() and kinds[0] == pytest.approx(kinds[6])
