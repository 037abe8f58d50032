"""Fits a multinomial logistic regression: coefficients of every class against the first one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.sums import Sums
from sparkml_dist.statistics.design import Design
from sparkml_dist.statistics.factor import Factor
from sparkml_dist.statistics.families import family_of
from sparkml_dist.statistics.fit_glm import MOST_COLUMNS
from sparkml_dist.statistics.glm_problem import GlmProblem
from sparkml_dist.statistics.glm_sums import gram_of, slices
from sparkml_dist.statistics.information_fit import InformationFit
from sparkml_dist.statistics.lbfgs import lbfgs
from sparkml_dist.statistics.moments import first_moments
from sparkml_dist.statistics.newton import NewtonResult, newton
from sparkml_dist.statistics.robust_multinomial import robust_multinomial

__all__ = ["ClassPass", "fit_multinomial", "has_covariance"]

Array = npt.NDArray[np.float64]


def has_covariance(problem: GlmProblem, classes: int) -> bool:
    """Tell whether a fit forms the information matrix."""
    if problem.solver == "auto":
        return len(problem.design.all_terms) * (classes - 1) <= MOST_COLUMNS
    return problem.solver == "newton"


def fit_multinomial(sums: Sums, problem: GlmProblem, classes: int) -> dict[str, Any]:
    """Fit a multinomial logistic regression.

    Parameters
    ----------
    sums : Sums
        Over a data set with class codes.
    problem : GlmProblem
        Its family is not used.
    classes : int

    Returns
    -------
    dict
        As of `fit_glm`, with ``coefficients`` of shape (classes - 1, p), and ``covariance`` of
        these row by row.
    """
    label = sums.data.manifest.label.column
    linear = family_of("gaussian")
    moments, design = first_moments(sums, replace(problem, family=linear), label)
    if not has_covariance(problem, classes):
        if design.intercept and not design.sparse:
            design = design.with_centre(moments["x"] / moments["weight"])
        return _first_order(sums, replace(problem, design=design), moments, classes)
    fit = InformationFit(
        sums, replace(problem, design=design, factorization="gram"), moments, label
    )
    fit.prepare(linear)
    result = _newton(sums, fit, classes, label)
    p, others = len(fit.design.terms), classes - 1
    beta = result.beta.reshape(others, p)
    covariance = None if problem.penalty.alpha else result.factor.inverse()
    if covariance is not None and problem.covariance != "nonrobust":
        covariance = robust_multinomial(
            sums,
            fit.design,
            beta,
            result.factor,
            kind=problem.covariance,
            clusters=problem.clusters,
            frequency=problem.frequency,
            rows=fit.count,
        )
    move = fit.uncentred()
    beta = beta @ move.T
    if covariance is not None:
        wide = np.kron(np.eye(others), move)
        covariance = wide @ covariance @ wide.T
    deviance = float(result.sums["deviance"])
    shares = result.sums["classes"] / fit.weight
    null = float(result.sums["classes"] @ np.log(np.maximum(shares, 1e-300)))
    return {
        "coefficients": beta,
        "covariance": covariance,
        "dropped": list(fit.dropped),
        "means": list(design.means),
        "rows": fit.count,
        "weight": fit.weight,
        "dispersion": 1.0,
        "deviance": deviance,
        "null_deviance": -2 * null if design.intercept else None,
        "pearson": None,
        "log_likelihood": -deviance / 2,
        "null_log_likelihood": null if design.intercept else None,
        "iterations": result.iterations,
        "converged": result.converged,
        "stopped": result.stopped,
        "solver": "newton",
        "factorization": "gram",
        "condition": float(fit.condition),
        "overdispersion": 1.0,
        "clusters": None if problem.clusters is None else len(problem.clusters),
        "passes": sums.passes,
    }


def _newton(sums: Sums, fit: InformationFit, classes: int, label: str) -> NewtonResult:
    others = classes - 1
    l1, l2 = (np.tile(part, others) for part in fit.penalty())
    step = ClassPass(fit.design, classes)
    known = sums.data.manifest.label.classes
    terms = [f"{c}: {term}" for c in known[1:] for term in fit.design.terms]

    def evaluate(beta: Array | None) -> tuple[Arrays, Array]:
        at = np.zeros(len(terms)) if beta is None else beta
        found = sums.add(step, (at.reshape(others, -1),))
        factor = Factor.of_gram(found["gram"] + np.diag(l2))
        return {**found, "score": found["score"].ravel()}, factor.R * factor.scale

    return newton(
        evaluate,
        family_of("binomial"),
        terms,
        np.tile(fit.deviations(), others),
        l1,
        l2,
        label=label,
        freedom=max(fit.count - len(terms), 1.0),
        max_iter=fit.problem.max_iter,
        tol=fit.problem.tol,
    )


def _first_order(sums: Sums, problem: GlmProblem, moments: Arrays, classes: int) -> dict[str, Any]:
    """Fit a wide design by L-BFGS, without standard errors."""
    from sparkml_dist.errors import ConfigurationError

    if problem.penalty.alpha and problem.penalty.l1_ratio:
        raise ConfigurationError(
            "conflicting_params",
            "A wide model of several classes has no L1 penalty.",
            "Set l1Ratio=0, or fit one class against the others.",
        )
    design, others = problem.design, classes - 1
    weight = float(moments["weight"])
    mean, squares = moments["x"] / weight, moments["xx"] / weight
    deviations = np.sqrt(np.maximum(squares - mean * mean, 0.0))
    scale = np.sqrt(squares) if design.sparse else deviations.copy()
    scale[scale == 0] = 1.0
    _, l2 = problem.penalty.vectors(1.0, deviations, intercept=design.intercept)
    penalty = np.tile(l2 / scale**2, others)
    step, wide = ClassPass(design.lean(), classes, gram=False), np.tile(scale, others)
    last: list[Arrays] = []

    def objective(beta: Array) -> tuple[float, Array]:
        found = sums.add(step, ((beta / wide).reshape(others, -1),))
        last[:] = [found]
        value = float(found["deviance"]) / (2 * weight) + float(penalty @ (beta * beta)) / 2
        return value, -found["score"].ravel() / wide / weight + penalty * beta

    found = lbfgs(objective, np.zeros(len(wide)), tol=problem.tol, max_iter=problem.max_iter)
    beta = (found.x / wide).reshape(others, -1)
    if design.centre:
        beta[:, 0] -= beta[:, 1:] @ np.asarray(design.centre)[1:]
    deviance = float(last[0]["deviance"])
    return {
        "coefficients": beta,
        "covariance": None,
        "dropped": [],
        "means": list(design.means),
        "rows": weight if problem.frequency else float(moments["used"]),
        "weight": weight,
        "dispersion": 1.0,
        "deviance": deviance,
        "null_deviance": None,
        "pearson": None,
        "log_likelihood": -deviance / 2,
        "null_log_likelihood": None,
        "iterations": found.iterations,
        "converged": found.converged,
        "stopped": found.stopped,
        "solver": "lbfgs",
        "factorization": None,
        "condition": None,
        "overdispersion": 1.0,
        "clusters": None,
        "passes": sums.passes,
    }


@dataclass(frozen=True)
class ClassPass:
    """A pass at coefficients of shape (classes - 1, p)."""

    design: Design
    classes: int
    gram: bool = True

    def __call__(self, block: Block, beta: Array) -> Summands:
        """Return the sums of a block."""
        others, p = beta.shape
        total: dict[str, Any] = {
            "score": np.zeros((others, p)),
            "deviance": 0.0,
            "pearson": 0.0,
            "bad": 0,
            "classes": np.zeros(self.classes),
        }
        if self.gram:
            total["gram"] = np.zeros((others * p, others * p))
        for D, y, w, _, _ in slices(self.design, block):
            eta = np.column_stack([np.zeros(len(y)), D @ beta.T])
            eta -= eta.max(axis=1, keepdims=True)
            odds = np.exp(eta)
            norm = odds.sum(axis=1)
            probability = odds / norm[:, None]
            code = y.astype(np.int64)
            log = eta[np.arange(len(y)), code] - np.log(norm)
            total["deviance"] += -2.0 * float(w @ log)
            total["classes"] += np.bincount(code, w, self.classes)
            hit = (code[:, None] == np.arange(1, self.classes)).astype(np.float64)
            total["score"] += (D.T @ (w[:, None] * (hit - probability[:, 1:]))).T
            if not self.gram:
                continue
            for a in range(others):
                for b in range(a, others):
                    pa, pb = probability[:, a + 1], probability[:, b + 1]
                    rows, columns = slice(a * p, a * p + p), slice(b * p, b * p + p)
                    if a == b:
                        total["gram"][rows, columns] += gram_of(D, w * pa * (1 - pa))
                    else:
                        part = gram_of(D, w * pa * pb)
                        total["gram"][rows, columns] -= part
                        total["gram"][columns, rows] -= part
        return total
