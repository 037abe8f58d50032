"""Data that cannot be fitted is refused, with the columns that are the reason."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.errors import DataError
from tests.statistics.oracles import errors, fit

rng = np.random.default_rng(2)
ROWS = 100
X = rng.normal([1e3, 0.0], size=(ROWS, 2))
Y = X[:, 0] - 1e3 + rng.normal(size=ROWS)
LABEL = (Y > 0).astype(int)


def refused(code, X, y, family="gaussian", **given):
    with pytest.raises(DataError) as caught:
        fit(X, y, family, **given)
    assert caught.value.code == code
    return caught.value


@pytest.mark.parametrize("factorization", ["auto", "gram", "qr"])
def test_a_column_without_variance(factorization):
    wide = np.column_stack([X, np.full(ROWS, 88.2)])
    error = refused("constant_feature", wide, Y, factorization=factorization)
    assert "'x2'" in error.message
    found = fit(wide, Y, "gaussian", drop_collinear=True, factorization=factorization)
    plain = fit(X, Y, "gaussian")
    assert found["dropped"] == [3]
    assert found["coefficients"] == pytest.approx(plain["coefficients"], rel=1e-8)


@pytest.mark.parametrize("factorization", ["auto", "gram", "qr"])
def test_columns_that_depend_on_each_other(factorization):
    wide = np.column_stack([X, 2 * X[:, 0] - X[:, 1] + 3, X[:, 1] / 7])
    error = refused("collinear_features", wide, Y, factorization=factorization)
    assert "x2 = 2·x0 + -1·x1" in error.message
    assert "x3 = 0.1429·x1" in error.message
    found = fit(wide, Y, "gaussian", drop_collinear=True, factorization=factorization)
    plain = fit(X, Y, "gaussian")
    assert found["dropped"] == [3, 4]
    assert errors(found) == pytest.approx(errors(plain), rel=1e-8)


def test_a_category_that_is_always_there():
    codes = np.zeros(ROWS)
    wide = np.column_stack([X, codes])
    given = {"names": ["a", "b", "c"], "categories": {"c": ("only", "never")}}
    assert "'c=never'" in refused("constant_feature", wide, Y, **given).message


@pytest.mark.parametrize("share", [1.0, 0.2])
def test_separated_classes(share):
    column = np.zeros(ROWS)
    if share == 1.0:
        column = LABEL * 2.0 + 0.1 * rng.normal(size=ROWS)
    else:  # one category has rows of one class only
        column[np.flatnonzero(LABEL)[:15]] = 1.0
    wide = np.column_stack([X[:, 1], column])
    error = refused("perfect_separation", wide, LABEL, "binomial", classes=(0, 1))
    assert "'x1'" in error.message
    assert "classes are separated" in error.message


@pytest.mark.parametrize("family", ["poisson", "negative_binomial", "tweedie"])
def test_counts_that_are_all_zero(family):
    error = refused("perfect_separation", X, np.zeros(ROWS), family)
    assert "'y' is 0 in all rows" in error.message


def test_squares_that_overflow():
    error = refused("infinite_feature", np.column_stack([X, X[:, 1] * 1e200]), Y)
    assert "'x2'" in error.message and "'x1'" not in error.message


@pytest.mark.parametrize("kind", ["HC2", "HC3"])
def test_a_row_that_decides_a_coefficient_alone(kind):
    """Its residual and what its leverage leaves are both rounding: their ratio is anything."""
    wide = np.column_stack([X, np.arange(ROWS) == 7])
    error = refused("too_few_rows", wide, Y, covariance=kind)
    assert "1 row(s) have a leverage of 1" in error.message
    assert np.isfinite(errors(fit(wide, Y, "gaussian", covariance="HC1"))).all()


def test_a_category_of_zero_counts():
    y = rng.poisson(2.0, ROWS).astype(float)
    column = (np.arange(ROWS) < 10).astype(float)
    y[:10] = 0
    error = refused("perfect_separation", np.column_stack([X[:, 1], column]), y, "poisson")
    assert "'x1'" in error.message


@pytest.mark.parametrize(
    ("family", "wrong"),
    [("poisson", -1.0), ("gamma", 0.0), ("binomial", 2.0), ("negative_binomial", -2.0)],
)
def test_targets_that_the_family_cannot_have(family, wrong):
    y = np.full(ROWS, 0.5)
    y[3] = wrong
    assert "1 other value(s)" in refused("target_not_of_family", X, y, family).message


def test_missing_values():
    holes = X.copy()
    holes[::7, 1] = np.nan
    assert "'x1'" in refused("missing_values", holes, Y).message
    whole = ~np.isnan(holes).any(axis=1)
    found = fit(holes, Y, "gaussian", handling="skip")
    assert found["coefficients"] == pytest.approx(
        fit(holes[whole], Y[whole], "gaussian")["coefficients"], rel=1e-10
    )
    filled = np.where(np.isnan(holes), np.nanmean(holes, axis=0), holes)
    found = fit(holes, Y, "gaussian", handling="mean")
    assert found["coefficients"] == pytest.approx(
        fit(filled, Y, "gaussian")["coefficients"], rel=1e-10
    )


def test_too_few_rows_and_targets_that_are_not_finite():
    refused("too_few_rows", X[:3], Y[:3], shards=1)
    refused("label_infinite", X, np.where(np.arange(ROWS) == 5, np.inf, Y))
    refused("no_training_rows", X, Y, weight=np.zeros(ROWS))


def test_a_negative_binomial_without_overdispersion():
    y = rng.binomial(20, 0.5, ROWS).astype(float)
    refused("no_overdispersion", X, y, "negative_binomial", estimate_overdispersion=True)
