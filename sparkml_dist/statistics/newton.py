"""Newton's method with the expected information (iteratively reweighted least squares).

A pass forms information, score and deviance at the current coefficients, and the driver solves for
the step; steps that do not improve are halved. With a penalty on absolute values each step is the
minimum of the penalized quadratic (proximal Newton). For a Gaussian with the identity link the
second pass is a step of iterative refinement.

References
----------
McCullagh, Nelder (1989), "Generalized linear models". Lee, Sun, Saunders (2014), "Proximal
Newton-type methods for minimizing composite functions", SIAM Journal on Optimization 24.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.layout import Arrays
from sparkml_dist.statistics.checks import invalid_means, runaway, separated
from sparkml_dist.statistics.coordinate_descent import penalized_quadratic
from sparkml_dist.statistics.factor import Factor
from sparkml_dist.statistics.families import Family

__all__ = ["NewtonResult", "newton"]

Array = npt.NDArray[np.float64]
Evaluate = Callable[[Array | None], tuple[Arrays, Array]]

_HALVINGS = 30
# Steps shorter than this share of the coefficients are rounding.
_ROUNDING = 1e-14


@dataclass(frozen=True)
class NewtonResult:
    """Coefficients, and the sums at the point from which the last step was taken.

    Attributes
    ----------
    beta : ndarray of shape (p,)
    sums : dict of ndarray
    factor : Factor
        Of the penalized information.
    iterations : int
    converged : bool
    stopped : str
        The rule that ended the iterations, with its value.
    """

    beta: Array
    sums: Arrays
    factor: Factor
    iterations: int
    converged: bool
    stopped: str


def newton(
    evaluate: Evaluate,
    family: Family,
    terms: list[str],
    deviations: Array,
    l1: Array,
    l2: Array,
    *,
    label: str,
    freedom: float,
    max_iter: int,
    tol: float,
    begin: Array | None = None,
) -> NewtonResult:
    """Maximize a penalized likelihood.

    Parameters
    ----------
    evaluate : callable
        Returns the sums at coefficients, and the triangle of the information with the L2 penalty;
        for None, the sums at the means to begin with.
    family : Family
    terms : list of str
    deviations : ndarray of shape (p,)
        Standard deviations of the columns.
    l1, l2 : ndarray of shape (p,)
        Penalties on the summed loss.
    label : str
        Name of the label, for messages.
    freedom : float
        Residual degrees of freedom.
    max_iter : int
    tol : float
        Ends with a step shorter than this many standard errors.
    begin : ndarray of shape (p,), optional
        Coefficients to begin with.

    Raises
    ------
    DataError
        ``perfect_separation``.
    ConfigurationError
        ``link_not_of_family`` where no step leads to valid means.
    """
    beta, best, previous = begin, np.inf, None
    halvings, last = 0, np.inf
    linear = family.name == "gaussian" and family.link.name == "identity"
    step = before = np.zeros(len(terms))
    for iteration in range(max_iter + 1):
        try:
            found, R = evaluate(beta)
            factor = Factor.of_triangle(R)
        except np.linalg.LinAlgError:
            worst = int(np.argmax(np.abs(step) * deviations))
            raise separated([terms[worst]], family, label) from None
        at = np.zeros(len(terms)) if beta is None else beta
        value = float(found["deviance"]) / 2 + float(l1 @ np.abs(at) + l2 @ (at * at) / 2)
        if beta is not None and (found["bad"] or not value <= best + 1e-9 * abs(best) + 1e-12):
            halvings += 1
            if previous is None or halvings > _HALVINGS:
                if found["bad"]:
                    raise invalid_means(family, found["bad"])
                break
            beta = (beta + previous) / 2
            continue
        halvings, before = 0, step
        gradient = found["score"] - l2 * at
        if l1.any():
            gram = (factor.R * factor.scale).T @ (factor.R * factor.scale) - np.diag(l2)
            target = penalized_quadratic(gram, found["score"] + gram @ at, at, l1, l2)
            step = target - at
        else:
            step = factor.solve(gradient)
        spread = float(found["pearson"]) / freedom if family.estimates_dispersion else 1.0
        length = factor.R @ (factor.scale * step)
        decrement = float(length @ length)
        if beta is None:
            beta, last = at + step, decrement
            continue
        size = float(np.linalg.norm(factor.R @ (factor.scale * beta)))
        done = _ended(decrement, spread, size, tol) or (linear and decrement >= last / 4)
        if not linear and not (l1.any() or l2.any()):
            grows = runaway(
                step, before, at, deviations, decrement / max(spread, 1e-300), iteration
            )
            if grows:
                raise separated([terms[j] for j in grows], family, label)
        if done:
            final = beta if linear and decrement >= last else beta + step
            errors = np.sqrt(decrement / spread) if spread > 0 else 0.0
            rule = f"the last step was {errors:.1e} standard errors long (tol={tol:g})"
            return NewtonResult(final, found, factor, iteration, True, rule)
        best, previous, last = value, beta, decrement
        beta = beta + step
    return NewtonResult(at, found, factor, max_iter, False, f"maxIter={max_iter} was reached")


def _ended(decrement: float, spread: float, size: float, tol: float) -> bool:
    return bool(decrement <= tol * tol * spread or decrement <= (_ROUNDING * size) ** 2)
