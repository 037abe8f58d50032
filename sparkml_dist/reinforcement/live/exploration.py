"""The optimism of upper confidence bounds, as a policy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.reinforcement.policy import LocalPolicy

__all__ = ["UpperConfidence"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class UpperConfidence(LocalPolicy):
    """Takes the action with the largest ``value + bonus * sqrt(log(rows of state) / rows)``.

    Actions that a state has not seen come first; in a state that is new, all are equally likely.

    Attributes
    ----------
    values, counts : LocalPolicy
        Tables that look up the values of actions, and the number of their rows.
    bonus : float

    References
    ----------
    Auer, Cesa-Bianchi, Fischer (2002), "Finite-time analysis of the multiarmed bandit problem",
    Machine Learning 47.
    """

    values: Any
    counts: Any
    bonus: float

    @property
    def actions(self) -> tuple[Any, ...]:  # type: ignore[override]
        """The list of actions."""
        return tuple(self.values.actions)

    def q_values(self, states: npt.ArrayLike) -> Floats:
        """Return values with their bonus, shape (n, n_actions)."""
        counts = np.nan_to_num(self.counts.q_values(states))
        total = counts.sum(axis=1, keepdims=True)
        values = np.nan_to_num(self.values.q_values(states))
        width = np.sqrt(np.log(np.maximum(total, 1.0)) / np.maximum(counts, 1.0))
        found = np.where(counts > 0, values + self.bonus * width, np.inf)
        found[total[:, 0] == 0] = np.nan
        return found
