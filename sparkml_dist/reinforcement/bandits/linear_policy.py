"""Policies of linear bandits: optimism (LinUCB) and posterior sampling (Thompson)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.reinforcement.evaluation.state_basis import StateFeatures
from sparkml_dist.reinforcement.flat_rows import flat_rows
from sparkml_dist.reinforcement.policy import LocalPolicy, greedy

__all__ = ["LinearBanditPolicy"]

Floats = npt.NDArray[np.float64]

# In standard deviations from each mean.
_POINTS = np.linspace(-6.0, 6.0, 97)
# Numbers in memory.
_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class LinearBanditPolicy(LocalPolicy):
    """Rewards that are linear in the state, with what is not known of them.

    Attributes
    ----------
    actions : tuple
    coefficients : ndarray, shape (n_actions, n_functions)
        Means; the first are constants. See `StateFeatures`.
    covariance : ndarray, shape (n_actions, n_functions, n_functions)
        Of the coefficients, for noise of variance 1.
    exploration : float
        How many standard deviations are added to the mean ("optimism"), or the standard deviation
        of the noise ("sampling").
    kind : {"optimism", "sampling"}
        Whether the action with the largest upper bound is taken, or one that is the best for
        a draw from the posterior.
    categories : tuple of int
        See `StateFeatures`.
    """

    actions: tuple[Any, ...]
    coefficients: Floats
    covariance: Floats
    exploration: float
    kind: str
    categories: tuple[int, ...] = ()

    def q_values(self, states: npt.ArrayLike) -> Floats:
        """Return the mean reward of each action, shape (n, n_actions)."""
        return self._functions(states) @ self.coefficients.T

    def deviations(self, states: npt.ArrayLike) -> Floats:
        """Return the standard deviation of each mean, for noise of variance 1, (n, n_actions)."""
        x = self._functions(states)
        spread = np.einsum("ni,aij,nj->na", x, self.covariance, x, optimize=True)
        return np.sqrt(np.maximum(spread, 0.0))

    def probabilities(self, states: npt.ArrayLike) -> Floats:
        """Return the probability of each action, shape (n, n_actions)."""
        mean, spread = self.q_values(states), self.exploration * self.deviations(states)
        if self.kind == "optimism":
            return greedy(mean + spread)
        return chances_of_best(mean, spread)

    def _functions(self, states: npt.ArrayLike) -> Floats:
        rows = np.asarray(states, np.float64)
        rows = flat_rows(rows) if rows.ndim < 2 else rows
        return StateFeatures(rows.shape[1], categories=self.categories).functions(rows)


def chances_of_best(mean: Floats, spread: Floats) -> Floats:
    """Return the probability that each of independent normal numbers is the largest.

    The integral of the product of the distribution functions of the others over each one's own, by
    the trapezoidal rule on points that are dense where any of the numbers is likely.

    Parameters
    ----------
    mean, spread : ndarray, shape (n, k)
        Means and standard deviations.

    Returns
    -------
    ndarray, shape (n, k)
        Rows sum to 1, and are exact to about 1e-3. Where all deviations of a row are 0, its first
        largest mean has 1.
    """
    found = greedy(mean)
    known = np.flatnonzero(spread.max(axis=1) > 0)
    k = mean.shape[1]
    step = max(1, _AT_ONCE // (k * k * len(_POINTS)))
    for at in range(0, len(known), step):
        rows = known[at : at + step]
        m = mean[rows]
        s = np.maximum(spread[rows], 1e-12 * spread[rows].max(axis=1, keepdims=True))
        found[rows] = _chances(m, s)
    return found


def _chances(mean: Floats, spread: Floats) -> Floats:
    from scipy.special import ndtr

    n, k = mean.shape
    points = (mean[:, :, None] + spread[:, :, None] * _POINTS).reshape(n, -1)
    points.sort(axis=1)
    below = ndtr((points[:, None, :] - mean[:, :, None]) / spread[:, :, None])
    found = np.empty((n, k))
    for a in range(k):
        others = np.delete(below, a, axis=1).prod(axis=1)
        found[:, a] = ((others[:, 1:] + others[:, :-1]) * np.diff(below[:, a], axis=1)).sum(axis=1)
    return np.asarray(found / found.sum(axis=1, keepdims=True), float)
