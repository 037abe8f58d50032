"""Scores of Gaussian networks, from one covariance matrix."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from sparkml_dist.graphical.gaussian.moments import Moments
from sparkml_dist.graphical.graph import Parents

__all__ = ["GAUSSIAN_SCORES", "GaussianScores"]

GaussianScoreName = Literal["bic", "aic", "loglik"]
GAUSSIAN_SCORES: tuple[str, ...] = get_args(GaussianScoreName)
# A residual variance below this share of the variance is rounding: the columns are collinear.
_LEAST_SHARE = 1e-10

Floats = npt.NDArray[np.float64]


class GaussianScores:
    """Scores of families of numeric variables; nothing is left to be counted.

    The log-likelihood of a family is that of the least-squares regression of the child on its
    parents, with the variance of the residuals as its maximum-likelihood estimate. It has a
    parameter for each parent, the intercept and the variance (Geiger and Heckerman 1994).

    Parameters
    ----------
    moments : Moments
    name : {"bic", "aic", "loglik"}
    """

    def __init__(self, moments: Moments, name: GaussianScoreName) -> None:
        self.moments = moments
        self.evaluated = 0
        self.wanted: dict[tuple[int, ...], None] = {}
        self._each = {"bic": 0.5 * math.log(moments.rows), "aic": 1.0, "loglik": 0.0}[name]
        self._given: dict[tuple[int, ...], Floats] = {}
        self._families: dict[tuple[int, tuple[int, ...]], float] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        return self.moments.names

    def family(self, child: int, parents: tuple[int, ...]) -> float:
        """Return the score of a family; -inf where the parents determine the child."""
        key = (child, parents)
        if key not in self._families:
            self.evaluated += 1
            left = float(self._covariance(parents)[child, child])
            self._families[key] = float(self._scores(np.array([left]), child, len(parents))[0])
        return self._families[key]

    def additions(self, child: int, parents: tuple[int, ...]) -> Floats:
        """Return the score of the child with each variable as one more parent, shape (d,)."""
        given = self._covariance(parents)
        variances = np.diagonal(given)
        usable = variances > _LEAST_SHARE * np.diagonal(self.moments.covariance)
        explained = np.divide(
            given[child] ** 2, variances, out=np.zeros(len(variances)), where=usable
        )
        found = self._scores(given[child, child] - explained, child, len(parents) + 1)
        found[~usable] = -np.inf
        found[[child, *parents]] = -np.inf
        self.evaluated += len(variances) - len(parents) - 1
        return found

    def count_wanted(self) -> None:
        """Do nothing: all is known."""

    def total(self, parents: Parents) -> float:
        """Return the score of a network."""
        return math.fsum(self.family(child, of) for child, of in enumerate(parents))

    def _scores(self, left: Floats, child: int, parents: int) -> Floats:
        """Return scores by the variance that is left."""
        n = self.moments.rows
        least = _LEAST_SHARE * self.moments.covariance[child, child]
        fit = -n / 2 * (np.log(2 * math.pi * np.maximum(left, least)) + 1)
        return np.where(left > least, fit - self._each * (parents + 2), -np.inf)

    def _covariance(self, parents: tuple[int, ...]) -> Floats:
        """Return the covariance of all variables, given some: a Schur complement."""
        if not parents:
            return self.moments.covariance
        if parents not in self._given:
            spread, of = self.moments.covariance, list(parents)
            solved = np.linalg.lstsq(spread[np.ix_(of, of)], spread[of], rcond=None)[0]
            self._given[parents] = spread - spread[:, of] @ solved
        return self._given[parents]
