"""A policy's probabilities in the order of a log's actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import DataError
from sparkml_dist.reinforcement.transition_block import TransitionBlock

__all__ = ["PolicyColumns"]

Floats = npt.NDArray[np.float64]

_ROUNDING = 1e-6


@dataclass(frozen=True)
class PolicyColumns:
    """Puts probabilities and values of a policy in the order of the actions of a log.

    Parameters
    ----------
    policy : Policy
    actions : tuple
        Of the log.
    q : object with ``q_values`` and ``actions``, optional
    """

    policy: Any
    actions: tuple[Any, ...]
    q: Any = None

    def probabilities(self, states: Floats) -> Floats:
        """Return the probability of each action of the log, shape (n, n_actions).

        Rows sum to less than 1 where the policy takes actions which the log does not list.

        Raises
        ------
        DataError
            ``probability_range`` where they are negative, do not sum to 1 but for rounding in
            single precision, or have another shape.
        """
        found = np.asarray(self.policy.probabilities(states), float)
        if found.shape != (len(states), len(self.policy.actions)):
            raise DataError(
                "probability_range",
                f"The policy's probabilities of {len(states)} states and "
                f"{len(self.policy.actions)} actions have the shape {found.shape}.",
                "probabilities(states) returns one row for each state, a distribution over "
                "actions.",
            )
        if len(states) and (
            not np.isfinite(found).all()
            or found.min() < 0
            or abs(found.sum(axis=1) - 1).max() > _ROUNDING
        ):
            raise DataError(
                "probability_range",
                "The policy's probabilities of a state are negative or do not sum to 1 (they "
                "sum to "
                f"{found.sum(axis=1).min():g} to {found.sum(axis=1).max():g}).",
                "probabilities(states) returns one row for each state, a distribution over "
                "actions.",
            )
        # What rounding leaves out would pass for actions that the log does not list.
        found = found / found.sum(axis=1, keepdims=True)
        return self._ordered(found, self.policy.actions)

    def q_values(self, states: Floats) -> Floats:
        """Return the given values of each action, zeros where they are not known."""
        values = np.asarray(self.q.q_values(states), float)
        return self._ordered(np.nan_to_num(values, nan=0.0), self.q.actions)

    def ratios(self, block: TransitionBlock) -> tuple[Floats, Floats]:
        """Return probabilities, shape (n, n_actions), and importance ratios of rows, shape (n,)."""
        chances = self.probabilities(block.state)
        assert block.behavior_prob is not None
        return chances, chances[np.arange(len(block)), block.action] / block.behavior_prob

    def _ordered(self, values: Floats, own: Sequence[Any]) -> Floats:
        found = np.zeros((len(values), len(self.actions)))
        places = {a: i for i, a in enumerate(own)}
        for code, action in enumerate(self.actions):
            if action in places:
                found[:, code] = values[:, places[action]]
        return found
