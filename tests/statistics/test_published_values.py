"""Linear models against values that were published to the last digit, for any number of shards."""

from __future__ import annotations

import numpy as np
import pytest

from tests.long import cases
from tests.statistics import oracles
from tests.statistics.oracles import digits, errors, fit

SHARDS = cases([1, 3, 8], [3])
pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("shards", SHARDS)
def test_dobson(shards):
    X = np.column_stack([oracles.OUTCOME, oracles.TREATMENT]).astype(float)
    three = ("1", "2", "3")
    found = fit(
        *(X, oracles.COUNTS, "poisson"),
        categories={"o": three, "t": three},
        names=["o", "t"],
        shards=shards,
    )
    true = [3.04452244, -0.454255272, -0.292987125]
    assert found["coefficients"][:3] == pytest.approx(true, rel=1e-8)
    assert np.abs(found["coefficients"][3:]).max() < 1e-12
    true = [0.17089865, 0.20217076, 0.19274234, 0.2, 0.2]
    assert errors(found) == pytest.approx(true, rel=5e-8)
    assert found["deviance"] == pytest.approx(5.12914108, rel=1e-9)
    assert 2 * 5 - 2 * found["log_likelihood"] == pytest.approx(56.761320, rel=5e-8)


@pytest.mark.parametrize("factorization", ["auto", "qr"])
@pytest.mark.parametrize("shards", SHARDS)
def test_longley(shards, factorization):
    X, y = oracles.LONGLEY[:, 1:], oracles.LONGLEY[:, 0]
    found = fit(X, y, "gaussian", shards=shards, factorization=factorization)
    assert digits(found["coefficients"], oracles.LONGLEY_COEFFICIENTS) > 11
    assert digits(errors(found), oracles.LONGLEY_ERRORS) > 11
    assert digits(np.sqrt(found["dispersion"]), oracles.LONGLEY_DEVIATION) > 12
    assert found["factorization"] == ("qr" if factorization == "qr" else "gram")


@pytest.mark.parametrize("shards", SHARDS)
def test_wampler(shards):
    x = np.arange(21.0)
    X = np.column_stack([x**k for k in range(1, 6)])
    found = fit(X, 1 + X.sum(axis=1), "gaussian", shards=shards, factorization="qr")
    assert digits(found["coefficients"], np.ones(6)) > 9
    assert found["deviance"] < 1e-8
    found = fit(X, 1 + X.sum(axis=1), "gaussian", shards=shards)
    assert digits(found["coefficients"], np.ones(6)) > 6.5


def test_an_ill_conditioned_design_is_decomposed_by_qr():
    x = np.linspace(-1, 1, 40)
    X = np.column_stack([x, x + 1e-7 * np.cos(7 * x)])
    y = X @ [1.0, 2.0] + 3
    found = fit(X, y, "gaussian")
    assert found["factorization"] == "qr"
    assert found["condition"] > 1e6
    assert found["coefficients"] == pytest.approx([3, 1, 2], rel=1e-6)


@pytest.mark.parametrize("shards", SHARDS)
def test_spector(shards):
    X, y = oracles.SPECTOR[:, :3], oracles.SPECTOR[:, 3]
    found = fit(X, y, "binomial", shards=shards, classes=(0, 1))
    assert found["log_likelihood"] == pytest.approx(-12.889634, abs=5e-7)
    assert found["null_log_likelihood"] == pytest.approx(-20.59173, abs=5e-6)
    # Greene (2003), table 21.1, here with the digits of statsmodels 0.15.
    true = [-13.0213468581, 2.8261125949, 0.0951576613, 2.3786876551]
    assert found["coefficients"] == pytest.approx(true, rel=1e-8)
    true = [4.9313242136, 1.2629410756, 0.1415542057, 1.0645642545]
    assert errors(found) == pytest.approx(true, rel=1e-7)


@pytest.mark.long
def test_randhie():
    statsmodels = pytest.importorskip("statsmodels.api")
    table = statsmodels.datasets.randhie.load_pandas()
    found = fit(table.exog.values, table.endog.values, "poisson", shards=8)
    assert found["log_likelihood"] == pytest.approx(-62419.588564, abs=1e-6)
    assert found["coefficients"][0] == pytest.approx(0.70035288, abs=5e-9)
    assert errors(found)[0] == pytest.approx(0.01116267, abs=5e-9)
