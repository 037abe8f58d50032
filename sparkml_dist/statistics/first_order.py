"""Fits for wide designs: solvers that need gradients, and no information matrix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.sums import Sums
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.statistics.admm import admm
from sparkml_dist.statistics.design import Design
from sparkml_dist.statistics.families import Family
from sparkml_dist.statistics.fista import fista
from sparkml_dist.statistics.glm_problem import GlmProblem
from sparkml_dist.statistics.glm_sums import GlmPass
from sparkml_dist.statistics.lbfgs import lbfgs
from sparkml_dist.statistics.minimum import Minimum
from sparkml_dist.statistics.newton_cg import newton_cg

__all__ = ["fit_first_order"]

Array = npt.NDArray[np.float64]


def fit_first_order(sums: Sums, problem: GlmProblem, moments: Arrays) -> dict[str, Any]:
    """Fit a generalized linear model without an information matrix; see `fit_glm`.

    The smooth part of the objective is the mean loss of a row with the L2 penalty. Columns are
    scaled so that its curvature is about 1 along each (a Jacobi preconditioner).
    """
    design, family, penalty = problem.design, problem.family, problem.penalty
    weight = float(moments["weight"])
    mean = float(moments["y"]) / weight
    average = moments["x"] / weight
    squares = moments["xx"] / weight
    if design.intercept and not design.sparse:
        design = design.with_centre(average)
        squares = np.maximum(squares - average * average, 0.0)
        squares[0] = 1.0
    deviations = np.sqrt(np.maximum(moments["xx"] / weight - average * average, 0.0))
    design = design.lean()
    l1, l2 = penalty.vectors(1.0, deviations, intercept=design.intercept)
    scale = np.sqrt(squares * _curvature_at(family, mean) + l2)
    scale[scale == 0] = 1.0  # a column of zeros: its coefficient is 0
    l1, l2 = l1 / scale, l2 / scale**2
    step = GlmPass(design, family, mean, gram=False)
    last: dict[str, Arrays] = {}

    def objective(beta: Array) -> tuple[float, Array]:
        found = last["sums"] = sums.add(step, (beta / scale,))
        if found["bad"]:
            return np.inf, np.zeros_like(beta)
        value = float(found["deviance"]) / (2 * weight) + float(l2 @ (beta * beta)) / 2
        return value, -found["score"] / scale / weight + l2 * beta

    def curvature(beta: Array) -> Callable[[Array], Array]:
        work = _Curvature(design, family)

        def times(v: Array) -> Array:
            found = sums.add(work, (beta / scale, v / scale))["product"]
            return np.asarray(found / scale / weight + l2 * v)

        return times

    begin = np.zeros(len(scale))
    if design.intercept and design.offset is None:
        begin[0] = float(family.link.predictor(np.array([_inside(family, mean)]))[0])
    solver = problem.solver
    if solver == "auto":
        solver = "fista" if l1.any() else "newton-cg"
    if l1.any() and solver not in ("fista", "admm"):
        raise ConfigurationError(
            "conflicting_params",
            f"The solver {solver!r} has no L1 penalty.",
            'Set l1Ratio=0, or the solver "newton", "fista" or "admm".',
        )
    tol, most = problem.tol, problem.max_iter
    found: Minimum
    if solver == "lbfgs":
        found = lbfgs(objective, begin, tol=tol, max_iter=most)
    elif solver == "newton-cg":
        found = newton_cg(objective, curvature, begin, tol=tol, max_iter=most)
    elif solver == "fista":
        found = fista(objective, begin, l1, tol=tol, max_iter=most)
    else:
        found = admm(sums, design, family, begin, scale, l1, l2, weight, tol=tol, max_iter=most)
        objective(found.x)
    beta = found.x / scale
    if design.centre:
        beta[0] -= float(np.asarray(design.centre)[1:] @ beta[1:])
    totals = last["sums"]
    count = weight if problem.frequency else float(moments["used"])
    free = count - int(np.count_nonzero(beta))
    pearson = float(totals["pearson"])
    return {
        "coefficients": beta,
        "covariance": None,
        "dropped": [],
        "means": list(design.means),
        "rows": count,
        "weight": weight,
        "dispersion": pearson / free if family.estimates_dispersion and free > 0 else 1.0,
        "deviance": float(totals["deviance"]),
        "null_deviance": None,
        "pearson": pearson,
        "log_likelihood": None,
        "null_log_likelihood": None,
        "iterations": found.iterations,
        "converged": found.converged,
        "stopped": found.stopped,
        "solver": solver,
        "factorization": None,
        "condition": None,
        "overdispersion": family.overdispersion,
        "clusters": None,
        "passes": sums.passes,
    }


def _curvature_at(family: Family, mean: float) -> float:
    """Return the information of a row at the mean."""
    mu = np.array([_inside(family, mean)])
    eta = family.link.predictor(mu)
    return float((family.link.slope(eta, mu) ** 2 / family.variance(mu))[0])


def _inside(family: Family, mean: float) -> float:
    if family.name == "binomial":
        return min(max(mean, 1e-6), 1 - 1e-6)
    return mean if family.name == "gaussian" else max(mean, 1e-6)


@dataclass(frozen=True)
class _Curvature:
    """A pass for the expected information times a vector."""

    design: Design
    family: Family

    def __call__(self, block: Block, beta: Array, v: Array) -> Summands:
        D, _, w, offset, _ = self.design.rows(block)
        eta = D @ beta + offset
        mu = self.family.link.mean(eta)
        slope, variance = self.family.link.slope(eta, mu), self.family.variance(mu)
        with np.errstate(divide="ignore", invalid="ignore"):
            working = np.where(variance > 0, w * slope * slope / variance, 0.0)
        return {"product": D.T @ (working * (D @ v))}
