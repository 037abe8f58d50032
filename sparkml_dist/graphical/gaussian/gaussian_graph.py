"""A Gaussian network: a graph, and a linear regression for each variable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError, nearest
from sparkml_dist.graphical.gaussian.moments import Moments
from sparkml_dist.graphical.graph import Parents, acyclic_order, arcs_of

__all__ = ["GaussianGraph"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GaussianGraph:
    """Each variable is an intercept, plus coefficients times its parents, plus noise.

    Attributes
    ----------
    names : tuple of str
    parents : tuple of tuple of int
    intercepts, variances : ndarray of shape (d,)
    coefficients : ndarray of shape (d, d)
        Of a child (row) on its parents (columns); 0 elsewhere.
    """

    names: tuple[str, ...]
    parents: Parents
    intercepts: Floats
    coefficients: Floats
    variances: Floats

    @classmethod
    def fitted(cls, moments: Moments, parents: Parents) -> GaussianGraph:
        """Return a graph with the least-squares regressions of its families."""
        d, spread, mean = len(parents), moments.covariance, moments.mean
        coefficients = np.zeros((d, d))
        variances = np.diagonal(spread).copy()
        for child, of in enumerate(parents):
            if of:
                some = list(of)
                beta = np.linalg.lstsq(spread[np.ix_(some, some)], spread[some, child], rcond=None)[
                    0
                ]
                coefficients[child, some] = beta
                variances[child] -= float(spread[some, child] @ beta)
        intercepts = mean - coefficients @ mean
        return cls(moments.names, parents, intercepts, coefficients, variances)

    @property
    def arcs(self) -> list[tuple[str, str]]:
        """Pairs of parent and child."""
        return [(self.names[a], self.names[b]) for a, b in arcs_of(self.parents)]

    @cached_property
    def order(self) -> list[int]:
        """Positions of the variables, parents before children."""
        return acyclic_order(self.parents, self.names)

    @cached_property
    def joint(self) -> tuple[Floats, Floats]:
        """Mean and covariance of all variables together."""
        inverse = np.linalg.inv(np.eye(len(self.names)) - self.coefficients)
        return inverse @ self.intercepts, (inverse * self.variances) @ inverse.T

    def index(self, name: str) -> int:
        """Return the position of a variable.

        Raises
        ------
        ConfigurationError
            ``unknown_variable``.
        """
        if name not in self.names:
            raise ConfigurationError(
                "unknown_variable",
                f"There is no variable {name!r} in the network.{nearest(name, self.names)}",
                f"Variables are: {', '.join(self.names[:12])}.",
            )
        return self.names.index(name)

    def do(self, interventions: Mapping[str, float]) -> GaussianGraph:
        """Return the graph in which variables are set from outside."""
        parents = list(self.parents)
        intercepts, variances = self.intercepts.copy(), self.variances.copy()
        coefficients = self.coefficients.copy()
        for name, value in interventions.items():
            v = self.index(name)
            parents[v], intercepts[v], variances[v], coefficients[v] = (), float(value), 0.0, 0.0
        return replace(
            self,
            parents=tuple(parents),
            intercepts=intercepts,
            variances=variances,
            coefficients=coefficients,
        )

    def conditional(
        self, wanted: Sequence[int], known: Sequence[int], values: Floats
    ) -> tuple[Floats, Floats]:
        """Return means of variables given rows of others, (n, w), and their covariance, (w, w)."""
        mean, spread = self.joint
        some, of = list(wanted), list(known)
        away = values - mean[of]
        gain = np.linalg.lstsq(spread[np.ix_(of, of)], spread[np.ix_(of, some)], rcond=None)[0]
        left = spread[np.ix_(some, some)] - spread[np.ix_(some, of)] @ gain
        return mean[some] + away @ gain, left

    def log_densities(self, rows: Floats) -> Floats:
        """Return the logarithm of the density of each row's observed values, shape (n,).

        Parameters
        ----------
        rows : ndarray of float, shape (n, d)
            NaN where a value is missing.
        """
        found = np.zeros(len(rows))
        mean, spread = self.joint
        for some, of in _by_pattern(rows):
            if not of:
                continue
            away = rows[np.ix_(some, of)] - mean[of]
            part = spread[np.ix_(of, of)]
            distance = np.einsum("ij,ij->i", away, np.linalg.solve(part, away.T).T)
            _, log_determinant = np.linalg.slogdet(part)
            found[some] = -0.5 * (distance + log_determinant + len(of) * math.log(2 * math.pi))
        return found

    def filled(self, rows: Floats) -> Floats:
        """Return rows whose missing values are their means, given the observed ones."""
        found = rows.copy()
        for some, of in _by_pattern(rows):
            missing = [v for v in range(rows.shape[1]) if v not in of]
            if missing:
                means, _ = self.conditional(missing, of, rows[np.ix_(some, of)])
                found[np.ix_(some, missing)] = means
        return found

    def sample(self, rows: int, rng: np.random.Generator) -> Floats:
        """Draw rows, shape (rows, d)."""
        found = rng.standard_normal((rows, len(self.names))) * np.sqrt(self.variances)
        for v in self.order:
            found[:, v] += self.intercepts[v] + found @ self.coefficients[v]
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return names and parents as JSON values."""
        return {"names": list(self.names), "parents": [list(p) for p in self.parents]}


def _by_pattern(rows: Floats) -> list[tuple[list[int], list[int]]]:
    """Return the rows with the same observed variables, and these."""
    present = np.isfinite(rows)
    keys, inverse = np.unique(present, axis=0, return_inverse=True)
    return [
        (np.flatnonzero(inverse.ravel() == k).tolist(), [int(v) for v in np.flatnonzero(key)])
        for k, key in enumerate(keys)
    ]
