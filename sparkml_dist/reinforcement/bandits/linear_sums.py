"""Ridge regressions of the reward on the state, one for each action, from one pass over shards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.exact import FLOAT32_RANGE
from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.reinforcement.evaluation.log_sums import LogSums
from sparkml_dist.reinforcement.evaluation.state_basis import StateFeatures
from sparkml_dist.reinforcement.flat_rows import flat_rows
from sparkml_dist.reinforcement.transition_block import TransitionBlock

__all__ = ["ActionRidges", "fit_ridges"]

Floats = npt.NDArray[np.float64]
_EXACT = FLOAT32_RANGE
_MOST_BYTES = 1 << 28


@dataclass(frozen=True)
class ActionRidges:
    """The normal equations of a ridge regression for each action, with their solutions.

    Attributes
    ----------
    gram : ndarray, shape (n_actions, p, p)
        ``alpha I + Σ weight x xᵀ``; the first of x is a constant.
    moment : ndarray, shape (n_actions, p)
        ``Σ weight reward x``.
    rows : ndarray of float, shape (n_actions,)
        Sum of the weights of rows.
    """

    gram: Floats
    moment: Floats
    rows: Floats

    @property
    def coefficients(self) -> Floats:
        """Solutions, shape (n_actions, p)."""
        return np.asarray(np.linalg.solve(self.gram, self.moment[:, :, None])[:, :, 0], float)


def fit_ridges(log: LogSums, basis: StateFeatures, alpha: float) -> ActionRidges:
    """Add up the normal equations of all actions without rounding.

    Parameters
    ----------
    log : LogSums
    basis : StateFeatures
    alpha : float
        Added to the diagonals.

    Raises
    ------
    ConfigurationError
        ``invalid_param`` where the sums would take too much memory.
    """
    n_actions, p = len(log.facts.actions), basis.width
    if n_actions * p * (p + 1) * 8 * _EXACT.limbs > _MOST_BYTES:
        raise ConfigurationError(
            "invalid_param",
            f"{n_actions:,} actions with {p - 1:,} features of the state take too many sums.",
            "Use fewer features, or group actions.",
        )
    sums = log.add(_equations, basis, n_actions, description="normal equations")
    whole = _EXACT.rounded(sums["equations"]).reshape(n_actions, p, p + 1)
    gram = whole[:, :, :p].copy()
    rows = gram[:, 0, 0].copy()
    gram += alpha * np.eye(p)
    return ActionRidges(gram, whole[:, :, p], rows)


def _equations(blocks: Iterator[TransitionBlock], basis: StateFeatures, n_actions: int) -> Summands:
    p = basis.width
    found: Arrays = {"equations": np.zeros((n_actions, p * (p + 1), _EXACT.limbs), np.int64)}
    step = max(1, (1 << 20) // (p * (p + 1)))
    for block in blocks:
        for at in range(0, len(block), step):
            part = block.take(slice(at, at + step))
            x, g = basis.functions(part.state), part.weights()
            right = np.hstack([x, part.reward[:, None]])
            outer = flat_rows(g[:, None, None] * x[:, :, None] * right[:, None])
            found["equations"] += _EXACT.total(outer, part.action, n_actions)
    return found
