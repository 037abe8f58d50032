"""The decision process that a log describes: what follows each action in each state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.reinforcement.tabular.state_table import StateTable

__all__ = ["DecisionProcess", "Groups"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """Equal transitions of a log, counted: one entry for each state, action and next state.

    Attributes
    ----------
    state, next_state : ndarray of float64, shape (m, d)
        The next states of groups that terminated are not looked at.
    action : ndarray of int64, shape (m,)
        Codes.
    terminated : ndarray of bool, shape (m,)
    weight, reward, discount : ndarray of float64, shape (m,)
        Sums of the weights, of weight × reward, and of weight × discount.
    first : ndarray of float64, shape (m,)
        Weight of the rows that are the first of their episode.
    """

    state: Floats
    action: Ints
    next_state: Floats
    terminated: npt.NDArray[np.bool_]
    weight: Floats
    reward: Floats
    discount: Floats
    first: Floats


@dataclass(frozen=True)
class DecisionProcess:
    """Mean rewards and probabilities of the next states, as estimated from counts.

    Attributes
    ----------
    table : StateTable
        All states, also those that only follow others.
    count : ndarray of float64, shape (n_states, n_actions)
        Weight of the transitions of each pair.
    reward : ndarray of float64, shape (n_states, n_actions)
        Mean reward; 0 where the log never takes the action.
    follow : csr_matrix, shape (n_states * n_actions, n_states)
        Discounted probabilities of the next states.
    start : ndarray of float64, shape (n_states,)
        Share of the episodes that begin in a state.
    least_reward : float
        Least mean reward of a group.
    """

    table: StateTable
    count: Floats
    reward: Floats
    follow: Any
    start: Floats
    least_reward: float

    @classmethod
    def of(cls, groups: Groups, n_actions: int) -> DecisionProcess:
        """Return the process of groups, in any order."""
        goes_on = ~groups.terminated
        table = StateTable(np.concatenate([groups.state, groups.next_state[goes_on]]))
        n = len(table)
        state = table.find(groups.state)
        following = np.where(goes_on, 0, n)
        following[goes_on] = table.find(groups.next_state[goes_on])
        # Floats are added in this order, whatever the order of the groups was.
        order = np.lexsort((following, groups.action, state))
        pair = (state * n_actions + groups.action)[order]
        weight = groups.weight[order]
        count = np.bincount(pair, weight, n * n_actions)
        known = np.maximum(count, np.finfo(float).tiny)
        reward = np.bincount(pair, groups.reward[order], n * n_actions) / known
        moves = following[order] < n
        shares = groups.discount[order][moves] / known[pair[moves]]
        follow = sp.csr_matrix(
            (shares, (pair[moves], following[order][moves])), shape=(n * n_actions, n)
        )
        start = np.bincount(state[order], groups.first[order], n)
        used = groups.weight > 0
        means = groups.reward[used] / groups.weight[used]
        return cls(
            table,
            np.asarray(count, np.float64).reshape(n, n_actions),
            reward.reshape(n, n_actions),
            follow,
            np.asarray(start / (start.sum() or 1.0), np.float64),
            float(means.min()) if len(means) else 0.0,
        )

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Pairs of state and action that the log has, shape (n_states, n_actions)."""
        found: npt.NDArray[np.bool_] = self.count > 0
        return found

    def values(self, following: Floats) -> Floats:
        """Return mean reward plus discounted value of what follows, shape (n_states, n_actions)."""
        found: Floats = self.reward + (self.follow @ following).reshape(self.reward.shape)
        return found

    def ends(self) -> npt.NDArray[np.bool_]:
        """Tell from which states an episode can end: shape (n_states,)."""
        n, n_actions = self.count.shape
        into = self.follow.astype(bool)
        pairs = np.asarray(self.follow.sum(axis=1)).reshape(n, n_actions)
        # A pair whose next states take less than all of its weight may terminate.
        found: Any = (self.known & (pairs < 1 - 1e-12)).any(axis=1)
        found = found | ~self.known.any(axis=1)
        while True:
            reached = (into @ found).reshape(n, n_actions) & self.known
            more = np.asarray(found | reached.any(axis=1), bool)
            if (more == found).all():
                return np.asarray(found, bool)
            found = more
