"""Regression losses that are robust to outliers: absolute error and Huber's."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.ensemble.gradient_boosting.loss import Array, RegressionLoss, Slope

__all__ = ["AbsoluteError", "Huber", "weighted_quantile"]

# Step lengths that are tried, in the loss's own unit: half an octave apart.
_TRIED = np.concatenate([[0.0], 2.0 ** np.arange(-8, 3.5, 0.5)])


class _RobustLoss(RegressionLoss):
    """A loss around the median whose step lengths are tried, as it has no useful curvature."""

    def moments(self, y: npt.NDArray[Any], w: Array) -> list[float]:
        """Return the weight, the weighted median, and the mean distance from it."""
        median = weighted_quantile(y, w, 0.5)
        return [float(w.sum()), median, float(np.average(np.abs(y - median), weights=w))]

    def start(self, moments: Sequence[Sequence[float]]) -> tuple[Array, float]:
        """Return the mean of the shards' medians, since each shard is a random sample."""
        weight, median, spread = np.transpose(moments)
        unit = self._unit(float(np.average(spread, weights=weight)))
        return np.array([np.average(median, weights=weight)]), unit

    def leaves(
        self, leaf: npt.NDArray[np.int64], n_nodes: int, y: Array, F: Array, slope: Slope, w: Array
    ) -> Array | None:
        """Return the best constant for the residuals of each leaf."""
        residual = y - F
        limit = self._limit(residual, w)
        values = np.zeros(n_nodes)
        order = np.argsort(leaf, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(leaf[order])) + 1):
            if len(rows) and w[rows].any():
                values[leaf[rows[0]]] = self._centre(residual[rows], w[rows], limit)
        return values

    def search(
        self, y: npt.NDArray[Any], F: Array, along: Array, w: Array, unit: float
    ) -> list[list[float]]:
        """Return the loss for each of the step lengths that are tried, in one list."""
        residual = y - F[:, 0]
        limit = self._limit(residual, w)
        return [[float(w @ self._loss(residual - s * along[:, 0], limit)) for s in unit * _TRIED]]

    def step(self, searches: Sequence[list[list[float]]], unit: float) -> Array:
        """Return the best of the step lengths that were tried."""
        return np.array([unit * _TRIED[np.argmin(np.sum([s[0] for s in searches], axis=0))]])

    @abstractmethod
    def _unit(self, spread: float) -> float:
        """Return the unit of steps, from the targets' mean distance from their median."""

    @abstractmethod
    def _limit(self, residual: Array, w: Array) -> float:
        """Return the absolute residual beyond which the loss is linear."""

    @abstractmethod
    def _loss(self, residual: Array, limit: float) -> Array:
        """Return the loss of each residual."""

    @abstractmethod
    def _centre(self, residual: Array, w: Array, limit: float) -> float:
        """Return the constant that minimises the loss of the residuals."""


@dataclass(frozen=True)
class AbsoluteError(_RobustLoss):
    """The absolute error."""

    name = "absolute_error"

    def slope(self, y: npt.NDArray[Any], F: Array, w: Array) -> Slope:
        """Return the residuals' signs."""
        return Slope(np.sign(y[:, None] - F), None)

    def _unit(self, spread: float) -> float:
        return spread or 1.0  # gradients are signs without a unit; scores have the targets' unit

    def _limit(self, residual: Array, w: Array) -> float:
        return 0.0

    def _loss(self, residual: Array, limit: float) -> Array:
        return np.abs(residual)

    def _centre(self, residual: Array, w: Array, limit: float) -> float:
        return weighted_quantile(residual, w, 0.5)


@dataclass(frozen=True)
class Huber(_RobustLoss):
    """Squared error of small residuals, absolute error of the rest.

    Attributes
    ----------
    alpha : float
        Share of the residuals that count as small; the limit is found for every stage and shard.
    """

    alpha: float
    name = "huber"

    def slope(self, y: npt.NDArray[Any], F: Array, w: Array) -> Slope:
        """Return the residuals, clipped at the limit."""
        residual = y[:, None] - F
        limit = self._limit(residual[:, 0], w)
        return Slope(np.clip(residual, -limit, limit), None)

    def _unit(self, spread: float) -> float:
        return 1.0

    def _limit(self, residual: Array, w: Array) -> float:
        return weighted_quantile(np.abs(residual), w, self.alpha)

    def _loss(self, residual: Array, limit: float) -> Array:
        size = np.abs(residual)
        return np.where(size <= limit, residual**2 / 2, limit * (size - limit / 2))

    def _centre(self, residual: Array, w: Array, limit: float) -> float:
        median = weighted_quantile(residual, w, 0.5)
        return median + float(np.average(np.clip(residual - median, -limit, limit), weights=w))


def weighted_quantile(values: Array, w: Array, share: float) -> float:
    """Return the quantile of values with weights w.

    If two neighbours fit equally well, as for the median of an even number, return their mean.

    Parameters
    ----------
    values, w : ndarray of shape (n,)
    share : float
        Between 0 and 1.
    """
    counted = w > 0
    values, w = values[counted], w[counted]
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(w[order])
    wanted = share * reached[-1]
    at = int(np.searchsorted(reached, wanted * (1 - 1e-12)))
    then = int(np.searchsorted(reached, wanted * (1 + 1e-12), side="right"))
    last = len(order) - 1
    return float(values[order[min(at, last)]] + values[order[min(then, last)]]) / 2
