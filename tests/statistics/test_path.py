"""The strength of a penalty by cross-validation, against scikit-learn on the same folds."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.dataset.block_solver import Solved
from sparkml_dist.dataset.hashing import uniform
from sparkml_dist.dataset.held_blocks import HeldBlocks
from sparkml_dist.statistics.design import Design
from sparkml_dist.statistics.families import family_of
from sparkml_dist.statistics.fit_glm import fit_glm
from sparkml_dist.statistics.glm_problem import GlmProblem, Penalty
from sparkml_dist.statistics.path import chosen_penalty
from tests.written import written

rng = np.random.default_rng(3)
X = rng.normal([0.0, 5.0, 0.0, 0.0], size=(150, 4))
Y = X[:, 0] - 0.3 * X[:, 1] + 0.7 * rng.normal(size=150)
ALPHAS = [0.01, 1.0, 0.1]


def chosen(folder, family, penalty, y, **given):
    data = written(folder / "d", X, y, shards=3, **given)
    problem = GlmProblem(Design.of(data.schema, intercept=True), family_of(family), penalty)

    def run(solve, problem, passes):
        sums = HeldBlocks(data, memory=1 << 30)
        return Solved(dict(solve(sums, problem)), "here", 0, [], 0.0)

    return chosen_penalty(run, fit_glm, problem, ALPHAS, 3, 7)


def test_the_lasso(tmp_path):
    from sklearn.linear_model import Lasso

    found = chosen(tmp_path, "gaussian", Penalty(0.0, 1.0), Y)
    fold = (uniform(np.arange(150), 7, "fold") * 3).astype(int)
    true = []
    for alpha in sorted(ALPHAS, reverse=True):
        squares = 0.0
        for f in range(3):
            model = Lasso(alpha=alpha, tol=1e-12).fit(X[fold != f], Y[fold != f])
            squares += ((Y[fold == f] - model.predict(X[fold == f])) ** 2).sum()
        true.append(squares / 150)
    assert [row["deviance"] for row in found.rows] == pytest.approx(true, rel=1e-8)
    assert found.alpha == sorted(ALPHAS, reverse=True)[int(np.argmin(true))]
    whole = Lasso(alpha=0.1, tol=1e-12).fit(X, Y)
    assert found.coefficients[1, 1:] == pytest.approx(whole.coef_, abs=1e-8)


def test_other_families_are_fitted_on_folds_too(tmp_path):
    counts = rng.poisson(np.exp(0.3 * X[:, 0])).astype(float)
    found = chosen(tmp_path, "poisson", Penalty(0.0, 0.0), counts)
    assert [row["alpha"] for row in found.rows] == [1.0, 0.1, 0.01]
    assert all(row["error"] > 0 and row["nonzero"] == 5 for row in found.rows)
