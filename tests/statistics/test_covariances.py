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


def multinomial_sandwich(beta, codes, weight, kind, clusters=None):
    """Return standard errors by the formula, from the Hessian and the scores written out."""
    others, n = len(beta), len(codes)
    eta = np.column_stack([np.zeros(n), D @ beta.T])
    probability = np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True)
    P = probability[:, 1:]
    scores, information = [], np.zeros((others * 3, others * 3))
    for i in range(n):
        hit = np.arange(1, others + 1) == codes[i]
        scores.append(np.kron(hit - P[i], D[i]))
        spread = np.diag(P[i]) - np.outer(P[i], P[i])
        information += weight[i] * np.kron(spread, np.outer(D[i], D[i]))
    scores, rows, k = np.array(scores), weight.sum(), others * 3
    bread = np.linalg.inv(information)
    if kind == "cluster":
        sums = np.array([(weight[:, None] * scores)[g == GROUP].sum(axis=0) for g in clusters])
        g = len(clusters)
        meat = sums.T @ sums * (g / (g - 1) * (rows - 1) / (rows - k))
    else:
        meat = scores.T @ (weight[:, None] * scores) * (rows / (rows - k) if kind == "HC1" else 1)
    return np.sqrt(np.diag(bread @ meat @ bread))


@pytest.mark.parametrize("kind", ["HC0", "HC1", "cluster"])
def test_three_classes_with_robust_errors(kind):
    own = np.random.default_rng(4)
    codes = own.integers(0, 3, ROWS)
    weight = own.integers(1, 3, ROWS).astype(float)
    clusters = np.unique(GROUP) if kind == "cluster" else None
    given = {"covariance": kind, "clusters": clusters, "key": GROUP, "weight": weight}
    found = fit(X, codes, "binomial", classes=(0, 1, 2), shards=3, **given)
    expected = multinomial_sandwich(found["coefficients"], codes, weight, kind, clusters)
    assert errors(found) == pytest.approx(expected, rel=1e-7)
    # A weight of 2 is two rows, but for clusters, whose scores add up before they are squared.
    twice = np.repeat(np.arange(ROWS), weight.astype(int))
    if kind != "cluster":
        again = fit(X[twice], codes[twice], "binomial", classes=(0, 1, 2), covariance=kind)
        assert errors(again) == pytest.approx(errors(found), rel=1e-7)


def test_the_formula_agrees_with_the_binary_fit():
    codes = (np.median(Y) < Y).astype(int)
    binary = fit(X, codes, "binomial", covariance="HC1")
    beta = binary["coefficients"][None]
    expected = multinomial_sandwich(beta, codes, np.ones(ROWS), "HC1")
    assert errors(binary) == pytest.approx(expected, rel=1e-7)
