"""Policies: who chooses which action in a state, with which probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

__all__ = ["EpsilonGreedy", "LocalPolicy", "Policy", "Softmax", "UniformPolicy", "greedy"]

Floats = npt.NDArray[np.float64]


@runtime_checkable
class Policy(Protocol):
    """What can be evaluated on a log: a picklable object that runs in tasks, without Spark.

    Attributes
    ----------
    actions : sequence
        The list of actions, in the order of the probabilities.
    """

    @property
    def actions(self) -> Sequence[Any]:
        """The list of actions."""
        ...

    def probabilities(self, states: npt.ArrayLike) -> Floats:
        """Return the probability of each action in states of shape (n, n_state): (n, n_actions)."""
        ...


def greedy(values: Floats) -> Floats:
    """Return the policy that takes the first best action, shape (n, n_actions).

    Values that are NaN are of actions that are not known; where all are, the policy is uniform.
    """
    known = ~np.isnan(values)
    best = np.where(known, values, -np.inf).argmax(axis=1)
    found = np.zeros(values.shape)
    found[np.arange(len(values)), best] = 1.0
    nothing = ~known.any(axis=1)
    found[nothing] = 1.0 / values.shape[1]
    return found


class LocalPolicy:
    """A learnt policy in memory, without Spark: values of actions, and chances to take them.

    A subclass has ``actions``, `q_values`, and, where it is not greedy, `probabilities`. It is
    picklable.
    """

    actions: tuple[Any, ...]

    def q_values(self, states: npt.ArrayLike) -> Floats:
        """Return the value of each action, shape (n, n_actions); NaN where it is not known."""
        raise NotImplementedError

    def probabilities(self, states: npt.ArrayLike) -> Floats:
        """Return the probability of each action, shape (n, n_actions)."""
        return self.of_values(self.q_values(states))

    def of_values(self, values: Floats) -> Floats:
        """Return the probabilities that follow from values, both of shape (n, n_actions)."""
        return greedy(values)

    def act(self, state: npt.ArrayLike, *, rng: np.random.Generator | None = None) -> Any:
        """Return the action to take in one state: the likeliest one, or a draw.

        Parameters
        ----------
        state : array-like, shape (n_state,)
            Its features, in the order of the state columns; the code of a category. A number where
            a state has one feature.
        rng : numpy.random.Generator, optional
            Draws the action from the probabilities.
        """
        row = np.asarray(state, np.float64).reshape(1, -1)
        chances = self.probabilities(row)[0]
        if rng is None:
            return self.actions[int(chances.argmax())]
        return self.actions[int(rng.choice(len(chances), p=chances / chances.sum()))]


@dataclass(frozen=True)
class UniformPolicy(LocalPolicy):
    """Takes every action with the same probability.

    Attributes
    ----------
    actions : tuple
    """

    actions: tuple[Any, ...]

    def q_values(self, states: npt.ArrayLike) -> Floats:
        """Return NaN for every action: this policy knows no values."""
        return np.full((len(_rows(states)), len(self.actions)), np.nan)


@dataclass(frozen=True)
class EpsilonGreedy(LocalPolicy):
    """Takes the best action of another policy, or, with probability ε, any action at random.

    Attributes
    ----------
    policy : LocalPolicy
    epsilon : float
    """

    policy: Any
    epsilon: float

    @property
    def actions(self) -> tuple[Any, ...]:  # type: ignore[override]
        """The list of actions."""
        return tuple(self.policy.actions)

    def q_values(self, states: npt.ArrayLike) -> Floats:
        """Return the values of the other policy."""
        found: Floats = self.policy.q_values(states)
        return found

    def probabilities(self, states: npt.ArrayLike) -> Floats:
        """Return the probabilities of the other policy, mixed with equal ones."""
        chances: Floats = self.policy.probabilities(states)
        return (1 - self.epsilon) * chances + self.epsilon / chances.shape[1]


@dataclass(frozen=True)
class Softmax(LocalPolicy):
    """Takes actions with probabilities in proportion to exp(value / temperature).

    Attributes
    ----------
    policy : LocalPolicy
    temperature : float
    """

    policy: Any
    temperature: float

    @property
    def actions(self) -> tuple[Any, ...]:  # type: ignore[override]
        """The list of actions."""
        return tuple(self.policy.actions)

    def q_values(self, states: npt.ArrayLike) -> Floats:
        """Return the values of the other policy."""
        found: Floats = self.policy.q_values(states)
        return found

    def of_values(self, values: Floats) -> Floats:
        """Return the probabilities of values; those of unknown actions are 0."""
        known = ~np.isnan(values)
        scaled = np.where(known, values, -np.inf) / self.temperature
        top = np.where(known.any(axis=1), scaled.max(axis=1), 0.0)
        chances = np.where(known, np.exp(scaled - top[:, None]), 0.0)
        chances[~known.any(axis=1)] = 1.0
        return chances / chances.sum(axis=1, keepdims=True)


def _rows(states: npt.ArrayLike) -> Floats:
    rows = np.asarray(states, np.float64)
    return rows.reshape(-1, 1) if rows.ndim < 2 else rows
