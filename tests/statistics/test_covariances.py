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


def _power(matrix, exponent):
    values, vectors = np.linalg.eigh(matrix)
    return vectors @ np.diag(values**exponent) @ vectors.T


def _three_classes():
    own = np.random.default_rng(4)
    return own.integers(0, 3, ROWS), own.integers(1, 4, ROWS).astype(float)


@pytest.mark.parametrize("kind", ["HC2", "HC3"])
@pytest.mark.parametrize("frequency", [True, False])
def test_leverages_of_three_classes(kind, frequency):
    """Row by row from the definition, with the symmetric root of each row's variance."""
    codes, w = _three_classes()
    given = {"covariance": kind, "weight": w, "frequency": frequency, "tol": 1e-12}
    found = fit(X, codes, "binomial", classes=(0, 1, 2), shards=3, **given)
    odds = np.exp(np.column_stack([np.zeros(ROWS), D @ found["coefficients"].T]))
    P = (odds / odds.sum(axis=1, keepdims=True))[:, 1:]
    V = [np.diag(s) - np.outer(s, s) for s in P]
    J = [np.kron(np.eye(2), d) for d in D]
    bread = np.linalg.inv(sum(w[i] * J[i].T @ V[i] @ J[i] for i in range(ROWS)))
    scores = []
    for i in range(ROWS):
        each, times = (1.0, w[i]) if frequency else (w[i], 1.0)
        root = _power(V[i] * each, 0.5)
        left = np.eye(2) - root @ J[i] @ bread @ J[i].T @ root
        e = ((codes[i] == np.arange(1, 3)) - P[i]) * each
        e = root @ _power(left, -0.5 if kind == "HC2" else -1.0) @ np.linalg.inv(root) @ e
        scores.append(J[i].T @ e * np.sqrt(times))
    expected = np.sqrt(np.diag(bread @ np.transpose(scores) @ scores @ bread))
    assert errors(found) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("kind", ["HC0", "HC1", "HC2", "HC3", "cluster"])
def test_the_passes_of_several_classes_agree_with_those_of_two(kind):
    from sparkml_dist.statistics.fit_multinomial import fit_multinomial

    given = {"clusters": np.unique(GROUP), "key": GROUP} if kind == "cluster" else {}
    y = (np.median(Y) < Y).astype(int)
    given |= {"classes": (0, 1), "covariance": kind, "tol": 1e-12}
    plain = fit(X, y, "binomial", **given)
    several = fit(X, y, "binomial", solve=lambda s, p: fit_multinomial(s, p, 2), **given)
    assert several["coefficients"][0] == pytest.approx(plain["coefficients"], rel=1e-9)
    assert errors(several) == pytest.approx(errors(plain), rel=1e-8)
