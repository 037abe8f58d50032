"""What is asked of a fit: the model, the penalty, the solver; sent to rank 0 of a gang."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sparkml_dist.statistics.design import Design
from sparkml_dist.statistics.families import Family

__all__ = ["COVARIANCES", "FACTORIZATIONS", "SOLVERS", "GlmProblem", "Penalty"]

#: Kinds of standard errors.
COVARIANCES = ("nonrobust", "HC0", "HC1", "HC2", "HC3", "cluster")
FACTORIZATIONS = ("auto", "gram", "qr")
SOLVERS = ("auto", "newton", "lbfgs", "newton-cg", "fista", "admm")

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Penalty:
    """``alpha * (l1_ratio * |b|_1 + (1 - l1_ratio) / 2 * |b|_2**2)``, on the mean loss of a row.

    Attributes
    ----------
    alpha : float
    l1_ratio : float
    standardization : bool
        Whether coefficients are penalized as if each column had the standard deviation 1.
    """

    alpha: float = 0.0
    l1_ratio: float = 0.0
    standardization: bool = False

    def vectors(self, weight: float, deviations: Array, *, intercept: bool) -> tuple[Array, Array]:
        """Return the L1 and L2 penalty of each coefficient, on the summed loss.

        Parameters
        ----------
        weight : float
            Sum of all weights.
        deviations : ndarray of shape (p,)
            Standard deviation of each column.
        intercept : bool
            Whether the first column is an intercept, which is not penalized.
        """
        scale = deviations if self.standardization else np.ones(len(deviations))
        l1 = weight * self.alpha * self.l1_ratio * scale
        l2 = weight * self.alpha * (1.0 - self.l1_ratio) * scale * scale
        if intercept:
            l1[0] = l2[0] = 0.0
        return l1, l2


@dataclass(frozen=True)
class GlmProblem:
    """A fit of a generalized linear model.

    Attributes
    ----------
    design : Design
    family : Family
    penalty : Penalty
    solver : str
        One of `SOLVERS`.
    factorization : str
        One of `FACTORIZATIONS`.
    covariance : str
        One of `COVARIANCES`.
    clusters : ndarray of int64 or None
        Sorted keys of the clusters.
    frequency : bool
        Whether a weight counts rows; otherwise it is a precision.
    drop_collinear : bool
    max_iter : int
    tol : float
    estimate_overdispersion : bool
    """

    design: Design
    family: Family
    penalty: Penalty = Penalty()
    solver: str = "auto"
    factorization: Literal["auto", "gram", "qr"] = "auto"
    covariance: str = "nonrobust"
    clusters: npt.NDArray[np.int64] | None = None
    frequency: bool = True
    drop_collinear: bool = False
    max_iter: int = 100
    tol: float = 1e-8
    estimate_overdispersion: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the settings that decide the outcome, as JSON values."""
        return {
            "family": self.family.to_dict(),
            "penalty": [self.penalty.alpha, self.penalty.l1_ratio, self.penalty.standardization],
            "solver": self.solver,
            "factorization": self.factorization,
            "covariance": self.covariance,
            "frequency": self.frequency,
            "drop_collinear": self.drop_collinear,
            "max_iter": self.max_iter,
            "tol": self.tol,
            "estimate_overdispersion": self.estimate_overdispersion,
        }
