"""Robust standard errors against the formulas they are published as."""

from __future__ import annotations

import numpy as np
import pytest

from tests.statistics.oracles import errors, fit

rng = np.random.default_rng(11)
ROWS = 120
X = rng.normal([3.0, 0.0], size=(ROWS, 2))
D = np.column_stack([np.ones(ROWS), X])
Y = X @ [1.0, -2.0] + X[:, 0] * rng.normal(size=ROWS)
GROUP = rng.integers(0, 9, ROWS)


def sandwich(kind, weight=None):
    w = np.ones(ROWS) if weight is None else weight
    bread = np.linalg.inv(D.T @ (w[:, None] * D))
    residual = Y - D @ (bread @ (D.T @ (w * Y)))
    leverage = np.einsum("ij,jk,ik->i", D, bread, D)
    scale = {
        "HC2": 1 / (1 - leverage),
        "HC3": 1 / (1 - leverage) ** 2,
    }.get(kind, np.ones(ROWS))
    if kind == "HC1":
        scale = scale * w.sum() / (w.sum() - 3)
    meat = D.T @ ((w * scale * residual**2)[:, None] * D)
    return np.sqrt(np.diag(bread @ meat @ bread))


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3"])
def test_white(kind):
    found = fit(X, Y, "gaussian", covariance=kind, shards=4)
    assert errors(found) == pytest.approx(sandwich(kind), rel=1e-10)
    weight = rng.integers(1, 3, ROWS).astype(float)
    found = fit(X, Y, "gaussian", covariance=kind, weight=weight)
    assert errors(found) == pytest.approx(sandwich(kind, weight), rel=1e-10)


def test_clusters():
    clusters = np.unique(GROUP)
    found = fit(X, Y, "gaussian", covariance="cluster", clusters=clusters, key=GROUP, shards=4)
    bread = np.linalg.inv(D.T @ D)
    score = (Y - D @ (bread @ (D.T @ Y)))[:, None] * D
    sums = np.array([score[group == GROUP].sum(axis=0) for group in clusters])
    n, g = ROWS, len(clusters)
    covariance = bread @ (sums.T @ sums) @ bread * (g / (g - 1)) * ((n - 1) / (n - 3))
    assert errors(found) == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-10)


def test_a_poisson_with_robust_errors():
    y = rng.poisson(np.exp(0.2 * X[:, 0])).astype(float)
    found = fit(X, y, "poisson", covariance="HC0")
    mu = np.exp(D @ found["coefficients"])
    bread = np.linalg.inv(D.T @ (mu[:, None] * D))
    meat = D.T @ (((y - mu) ** 2)[:, None] * D)
    assert errors(found) == pytest.approx(np.sqrt(np.diag(bread @ meat @ bread)), rel=1e-8)


def test_precision_weights_leave_the_number_of_rows():
    weight = rng.random(ROWS) + 0.5
    found = fit(X, Y, "gaussian", weight=weight, frequency=False)
    bread = np.linalg.inv(D.T @ (weight[:, None] * D))
    residual = Y - D @ (bread @ (D.T @ (weight * Y)))
    scale = weight @ residual**2 / (ROWS - 3)
    assert errors(found) == pytest.approx(np.sqrt(np.diag(bread) * scale), rel=1e-10)
    assert found["rows"] == ROWS
