"""Gaussian networks: scores, regressions and inference against closed forms."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from sparkml_dist.graphical.gaussian.gaussian_graph import GaussianGraph
from sparkml_dist.graphical.gaussian.gaussian_scores import GaussianScores
from sparkml_dist.graphical.gaussian.moments import Moments
from sparkml_dist.graphical.structures.arc_limits import ArcLimits
from sparkml_dist.graphical.structures.hill_climbing import hill_climbing
from sparkml_dist.graphical.variables import Variable, Variables

NAMES = ("a", "b", "c", "d")
TRUE = ((), (), (0, 1), (2,))


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    a, b = rng.normal(5, 1, 2000), rng.normal(-2, 2, 2000)
    c = 1 + 0.8 * a - 0.5 * b + rng.normal(0, 0.7, 2000)
    return np.stack([a, b, c, 3 - c + rng.normal(0, 0.5, 2000)], axis=1)


@pytest.fixture(scope="module")
def moments(rows):
    return Moments(NAMES, len(rows), 0, rows.mean(axis=0), np.cov(rows.T, bias=True))


def test_scores_are_those_of_regressions(rows, moments):
    X = np.column_stack([np.ones(2000), rows[:, :2]])
    left = rows[:, 2] - X @ np.linalg.lstsq(X, rows[:, 2], rcond=None)[0]
    fit = -1000 * (np.log(2 * np.pi * (left**2).mean()) + 1)
    for name, each in (("bic", np.log(2000) / 2), ("aic", 1.0), ("loglik", 0.0)):
        scores = GaussianScores(moments, name)
        assert scores.family(2, (0, 1)) == pytest.approx(fit - 4 * each, rel=1e-10)
        assert scores.additions(2, (0,))[1] == pytest.approx(fit - 4 * each, rel=1e-10)
        assert scores.additions(2, (0,))[[0, 2]].tolist() == [-np.inf] * 2


def test_climbing_finds_the_graph(moments):
    variables = Variables(tuple(Variable(n, ("",)) for n in NAMES))
    scores = GaussianScores(moments, "bic")
    found = hill_climbing(scores, ArcLimits.of(variables), tabu=5, restarts=1)
    assert found.parents == TRUE and found.score == pytest.approx(scores.total(TRUE))


def test_collinear_columns_are_no_parents(moments):
    double = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]], float)
    S = double @ moments.covariance[:3, :3] @ double.T
    scores = GaussianScores(Moments(NAMES[:3], 100, 0, np.zeros(3), S), "bic")
    assert scores.family(2, (0,)) == -np.inf and scores.additions(2, ())[0] == -np.inf


def test_inference_is_that_of_the_joint_normal(rows, moments):
    graph = GaussianGraph.fitted(moments, TRUE)
    mean, S = graph.joint
    assert mean == pytest.approx(moments.mean)
    assert S[2, :3] == pytest.approx(moments.covariance[2, :3], abs=0.05)
    some = rows[:50]
    assert graph.log_densities(some) == pytest.approx(multivariate_normal(mean, S).logpdf(some))
    holes = some.copy()
    holes[::2, 1] = holes[::3, 3] = np.nan
    logs, filled = graph.log_densities(holes), graph.filled(holes)
    for i, row in enumerate(holes):
        of = np.flatnonzero(np.isfinite(row))
        assert logs[i] == pytest.approx(
            multivariate_normal(mean[of], S[np.ix_(of, of)]).logpdf(row[of])
        )
        gone = np.flatnonzero(~np.isfinite(row))
        expected = mean[gone] + S[np.ix_(gone, of)] @ np.linalg.solve(
            S[np.ix_(of, of)], row[of] - mean[of]
        )
        assert filled[i, gone] == pytest.approx(expected)
    drawn = graph.sample(100_000, np.random.default_rng(1))
    assert drawn.mean(axis=0) == pytest.approx(mean, abs=0.05)
    assert np.cov(drawn.T) == pytest.approx(S, abs=0.1)


def test_an_intervention_cuts_the_arcs_of_parents(moments):
    graph = GaussianGraph.fitted(moments, TRUE).do({"c": 10.0})
    mean, S = graph.joint
    assert mean[2] == 10 and S[2, 2] == 0 and S[0, 3] == pytest.approx(0, abs=1e-12)
    assert mean[3] == pytest.approx(3 - 10, abs=0.2)
