"""Policies of linear bandits: optimism (LinUCB) and posterior sampling (Thompson)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.reinforcement.evaluation.state_basis import StateFeatures
from sparkml_dist.reinforcement.policy import LocalPolicy, greedy

__all__ = ["LinearBanditPolicy"]

Floats = npt.NDArray[np.float64]

_NODES = 48


@dataclass(frozen=True)
class LinearBanditPolicy(LocalPolicy):
    """Rewards that are linear in the state, with what is not known of them.

    Attributes
    ----------
    actions : tuple
    coefficients : ndarray, shape (n_actions, 1 + n_state)
        Means; the first are constants.
    covariance : ndarray, shape (n_actions, 1 + n_state, 1 + n_state)
        Of the coefficients, for noise of variance 1.
    exploration : float
        How many standard deviations are added to the mean ("optimism"), or the standard deviation of the
        noise ("sampling").
    kind : {"optimism", "sampling"}
        Whether the action with the largest upper bound is taken, or one that is the best for
        a draw from the posterior.
    """

    actions: tuple[Any, ...]
    coefficients: Floats
    covariance: Floats
    exploration: float
    kind: str

    def q_values(self, states: npt.ArrayLike) -> Floats:
        """Return the mean reward of each action, shape (n, n_actions)."""
        return self._functions(states) @ self.coefficients.T

    def deviations(self, states: npt.ArrayLike) -> Floats:
        """Return the standard deviation of each mean, shape (n, n_actions), for noise of variance 1."""
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
        rows = rows.reshape(len(rows), -1) if rows.ndim < 2 else rows
        return StateFeatures(rows.shape[1]).functions(rows)


def chances_of_best(mean: Floats, spread: Floats) -> Floats:
    """Return the probability that each of independent normal numbers is the largest.

    By Gauss-Hermite quadrature of the density of each times the distribution functions of the others.

    Parameters
    ----------
    mean, spread : ndarray, shape (n, k)
        Means and standard deviations.

    Returns
    -------
    ndarray, shape (n, k)
        Rows sum to 1. Where all deviations of a row are 0, its first largest mean has 1.
    """
    from scipy.special import log_ndtr

    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    weights = weights / weights.sum()
    known = spread.max(axis=1) > 0
    found = greedy(mean)
    mean, spread = (
        mean[known],
        np.maximum(spread[known], 1e-12 * spread[known].max(axis=1)[:, None]),
    )
    part = np.empty_like(mean)
    for a in range(mean.shape[1]):
        drawn = mean[:, a, None] + spread[:, a, None] * nodes
        below = log_ndtr((drawn[:, :, None] - mean[:, None]) / spread[:, None])
        below[:, :, a] = 0.0
        part[:, a] = np.exp(below.sum(axis=2)) @ weights
    found[known] = part / part.sum(axis=1, keepdims=True)
    return found
