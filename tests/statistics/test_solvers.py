"""Penalties and solvers against scikit-learn's, and against each other."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.statistics.glm_problem import Penalty
from tests.statistics.oracles import errors, fit

rng = np.random.default_rng(5)
ROWS = 200
X = rng.normal(size=(ROWS, 4)) * [1, 2, 0.5, 1] + [0, 3, 0, 0]
ETA = X @ [1.0, -0.3, 0.5, 0.0]
Y = ETA + rng.normal(size=ROWS)
LABEL = (rng.random(ROWS) < 1 / (1 + np.exp(-ETA))).astype(int)
THREE = rng.integers(0, 3, ROWS)


@pytest.mark.parametrize("solver", ["newton", "fista", "admm"])
def test_elastic_net(solver):
    from sklearn.linear_model import ElasticNet

    true = ElasticNet(alpha=0.3, l1_ratio=0.7, tol=1e-12, max_iter=10**5).fit(X, Y)
    penalty = Penalty(0.3, 0.7)
    found = fit(X, Y, "gaussian", penalty=penalty, solver=solver, tol=1e-9, max_iter=5000)
    assert found["converged"]
    assert found["coefficients"][1:] == pytest.approx(true.coef_, abs=1e-7)
    assert found["coefficients"][0] == pytest.approx(true.intercept_, abs=1e-7)
    assert found["coefficients"][4] == 0.0
    assert found["covariance"] is None


@pytest.mark.parametrize("solver", ["newton", "lbfgs", "newton-cg", "fista"])
def test_ridge_of_a_logistic_regression(solver):
    from sklearn.linear_model import LogisticRegression

    true = LogisticRegression(C=1 / (0.05 * ROWS), tol=1e-12, max_iter=10**4).fit(X, LABEL)
    given = {"penalty": Penalty(0.05), "tol": 1e-9, "max_iter": 5000, "classes": (0, 1)}
    found = fit(X, LABEL, "binomial", solver=solver, **given)
    assert found["coefficients"][1:] == pytest.approx(true.coef_[0], abs=1e-6)
    assert found["coefficients"][0] == pytest.approx(true.intercept_[0], abs=1e-6)
    assert found["stopped"]


def test_lasso_of_a_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    true = LogisticRegression(
        C=1 / (0.03 * ROWS), l1_ratio=1, solver="saga", tol=1e-10, max_iter=10**5
    ).fit(X, LABEL)
    given = {"penalty": Penalty(0.03, 1.0), "max_iter": 5000, "classes": (0, 1)}
    for solver in ("newton", "fista"):
        found = fit(X, LABEL, "binomial", solver=solver, **given)
        assert found["coefficients"][1:] == pytest.approx(true.coef_[0], abs=1e-5)


def test_standardization():
    scaled = X / X.std(axis=0)
    plain = fit(scaled, Y, "gaussian", penalty=Penalty(0.3, 0.5))
    found = fit(X, Y, "gaussian", penalty=Penalty(0.3, 0.5, standardization=True))
    assert found["coefficients"][1:] * X.std(axis=0) == pytest.approx(
        plain["coefficients"][1:], abs=1e-10
    )


def test_several_classes():
    D = np.column_stack([np.ones(ROWS), X])
    found = fit(X, THREE, "binomial", classes=(0, 1, 2), shards=4)
    eta = np.column_stack([np.zeros(ROWS), D @ found["coefficients"].T])
    p = np.exp(eta) / np.exp(eta).sum(axis=1, keepdims=True)
    hit = THREE[:, None] == np.arange(3)
    assert np.abs(D.T @ (hit - p)).max() < 1e-6
    likelihood = np.log(p[np.arange(ROWS), THREE]).sum()
    assert found["log_likelihood"] == pytest.approx(likelihood)
    information = np.zeros((10, 10))
    for row, share in zip(D, p[:, 1:], strict=True):
        information += np.kron(np.diag(share) - np.outer(share, share), np.outer(row, row))
    true = np.sqrt(np.diag(np.linalg.inv(information)))
    assert errors(found) == pytest.approx(true, rel=1e-6)
    wide = fit(X, THREE, "binomial", classes=(0, 1, 2), solver="lbfgs", max_iter=1000)
    assert wide["coefficients"] == pytest.approx(found["coefficients"], abs=1e-5)


def test_sparse_rows():
    dense = X * (rng.random(X.shape) < 0.5)
    given = {"penalty": Penalty(0.02), "tol": 1e-10, "max_iter": 500, "classes": (0, 1)}
    plain = fit(dense, LABEL, "binomial", **given)
    for solver in ("newton", "newton-cg"):
        found = fit(sp.csr_matrix(dense), LABEL, "binomial", solver=solver, **given)
        assert found["coefficients"] == pytest.approx(plain["coefficients"], abs=1e-7)


def test_sparse_rows_of_several_classes():
    dense = X * (rng.random(X.shape) < 0.5)
    plain = fit(dense, THREE, "binomial", classes=(0, 1, 2))
    for solver in ("newton", "lbfgs"):
        given = {"classes": (0, 1, 2), "solver": solver, "max_iter": 1000}
        found = fit(sp.csr_matrix(dense), THREE, "binomial", **given)
        assert found["coefficients"] == pytest.approx(plain["coefficients"], abs=1e-5)
    covariance = "HC3"
    for shape in (dense, sp.csr_matrix(dense)):
        found = fit(shape, Y, "gaussian", covariance=covariance, factorization="qr")
        assert found["rows"] == ROWS
    assert errors(found) == pytest.approx(
        errors(fit(dense, Y, "gaussian", covariance=covariance)), rel=1e-8
    )


def test_a_solver_that_has_no_such_penalty():
    with pytest.raises(ConfigurationError, match="no L1 penalty") as caught:
        fit(X, Y, "gaussian", penalty=Penalty(0.1, 1.0), solver="lbfgs")
    assert caught.value.code == "conflicting_params"
    with pytest.raises(ConfigurationError, match="linear models"):
        fit(X, np.abs(Y), "poisson", penalty=Penalty(0.1, 1.0), solver="admm")


def test_iterations_that_are_too_few():
    found = fit(X, Y, "gaussian", penalty=Penalty(0.1, 1.0), solver="fista", max_iter=2)
    assert not found["converged"]
    assert "maxIter=2" in found["stopped"]
