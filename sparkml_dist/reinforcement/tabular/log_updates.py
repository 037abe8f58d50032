"""The updates of Q-learning, SARSA and their kin, one transition after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.hashing import uniform, xxhash64
from sparkml_dist.reinforcement.tabular.cells import Cells
from sparkml_dist.reinforcement.tabular.state_table import StateTable
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset

__all__ = ["Rule", "Updates", "distinct_states", "learn_along"]

Rule = Literal["q", "sarsa", "expected", "double"]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Updates:
    """How values are updated.

    Attributes
    ----------
    rule : {"q", "sarsa", "expected", "double"}
    rate : float
        Step size of the first update of a pair.
    decay : float
        The n-th update of a pair has the step size ``rate / n ** decay``.
    discount : float
        Where the log has none of its own.
    epsilon : float
        Of the ε-greedy policy whose values ``"expected"`` learns.
    initial : float
        Value of every pair at first.
    epochs : int
        Passes over the log.
    seed : int
        Of the coin of ``"double"``.
    """

    rule: Rule
    rate: float
    decay: float
    discount: float
    epsilon: float
    initial: float
    epochs: int
    seed: int


def distinct_states(data: TransitionDataset, cells: Cells | None) -> Floats:
    """Return the states of a log, shape (n_states, n_features of a cell)."""
    parts: list[Floats] = []
    for shard in range(len(data.shards)):
        for block in data.blocks(shard):
            rows = np.concatenate([block.state, block.next_state[block.has_next]])
            parts.append(StateTable(rows if cells is None else cells(rows)).states)
            if len(parts) > 64:
                parts = [StateTable(np.concatenate(parts)).states]
    return StateTable(np.concatenate(parts)).states


def learn_along(
    data: TransitionDataset, table: StateTable, cells: Cells | None, updates: Updates
) -> dict[str, npt.NDArray[Any]]:
    """Return ``q``, ``count`` and ``start`` after passes over the log in its own order.

    Episodes are in the order of their hash, which is the same for any number of shards, and rows in
    that of their steps.
    """
    n, n_actions = len(table), data.schema.n_actions
    # Lists: a number of an array costs ten times as much to read and to write.
    tables = [
        [[updates.initial] * n_actions for _ in range(n)]
        for _ in range(2 if updates.rule == "double" else 1)
    ]
    done = [[0] * n_actions for _ in range(n)]
    count, start = np.zeros((n, n_actions)), np.zeros(n)
    for epoch in range(updates.epochs):
        for shard in range(len(data.shards)):
            for block in data.blocks(shard):
                block = block.take(block.usable)
                if not len(block):
                    continue
                state = table.find(block.state if cells is None else cells(block.state))
                after = np.where(block.has_next[:, None], block.next_state, block.state)
                follows = table.find(after if cells is None else cells(after))
                if epoch == 0:
                    np.add.at(count, (state, block.action), block.weights())
                    np.add.at(start, state[block.first], block.weights()[block.first])
                key = xxhash64(block.episode, block.step).view(np.int64)
                coin = uniform(key, updates.seed, "double", epoch) < 0.5
                _update(
                    tables,
                    done,
                    updates,
                    zip(
                        state.tolist(),
                        block.action.tolist(),
                        block.reward.tolist(),
                        np.where(block.has_next, follows, -1).tolist(),
                        block.next_action.tolist(),
                        block.discounts(updates.discount).tolist(),
                        coin.tolist(),
                        strict=True,
                    ),
                )
    q = np.mean(tables, axis=0).reshape(n, n_actions)
    q[np.asarray(done).reshape(n, n_actions) == 0] = np.nan
    return {"q": q, "count": count, "start": start / (start.sum() or 1.0)}


def _update(tables: list[Any], done: list[Any], updates: Updates, rows: Any) -> None:
    rule, rate, decay, epsilon = updates.rule, updates.rate, updates.decay, updates.epsilon
    for state, action, reward, follows, next_action, discount, coin in rows:
        learns = tables[-1] if coin and rule == "double" else tables[0]
        if follows < 0:
            target = reward
        elif rule == "q":
            target = reward + discount * max(learns[follows])
        elif rule == "sarsa":
            if next_action < 0:  # what came next is not known
                continue
            target = reward + discount * learns[follows][next_action]
        elif rule == "expected":
            values = learns[follows]
            mean = sum(values) / len(values)
            target = reward + discount * ((1 - epsilon) * max(values) + epsilon * mean)
        else:
            values = learns[follows]
            other = tables[0] if coin else tables[-1]
            target = reward + discount * other[follows][values.index(max(values))]
        done[state][action] = times = done[state][action] + 1
        size = rate / times**decay if decay else rate
        row = learns[state]
        row[action] += size * (target - row[action])
