"""A small decision process: all of its episodes with their probabilities, and random ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from sparkml_dist.reinforcement.evaluation.log_sums import MemoryLog
from sparkml_dist.reinforcement.transition_block import TransitionBlock

STATES, ACTIONS, DISCOUNT = 3, ("left", "right"), 0.9
#: Ends on its own with this probability after each step; ends for sure after the last one.
END = 0.25


@dataclass(frozen=True)
class TablePolicy:
    """Probabilities by state; the second feature of a state is the time."""

    table: Any
    actions: tuple[str, ...] = ACTIONS

    def probabilities(self, states: Any) -> Any:
        return np.asarray(self.table)[np.nan_to_num(np.asarray(states)[:, 0]).astype(int)]


@dataclass(frozen=True)
class TableValues(TablePolicy):
    """The same, with values."""

    values: Any = None

    def q_values(self, states: Any) -> Any:
        return np.asarray(self.values)[np.nan_to_num(np.asarray(states)[:, 0]).astype(int)]


_RNG = np.random.default_rng(5)
MOVES = _RNG.dirichlet(np.ones(STATES), (STATES, len(ACTIONS)))
REWARDS = _RNG.normal(size=(STATES, len(ACTIONS)))
FIRST = np.array([0.6, 0.3, 0.1])
BEHAVIOR = TablePolicy(np.array([[0.5, 0.5], [0.3, 0.7], [0.8, 0.2]]))
TARGET = TablePolicy(np.array([[0.7, 0.3], [0.5, 0.5], [0.35, 0.65]]))

Steps = list[tuple[int, int, float, int, bool]]


def true_value(policy: TablePolicy, horizon: int, discount: float = DISCOUNT) -> float:
    table = np.asarray(policy.table)
    value = np.zeros(STATES)
    for left in range(1, horizon + 1):
        follow = np.einsum("sat,t->sa", MOVES, value) * (1 - END if left > 1 else 0.0)
        value = (table * (REWARDS + discount * follow)).sum(axis=1)
    return float(FIRST @ value)


def every_episode(horizon: int) -> Iterator[tuple[float, Steps]]:
    """Yield all episodes of the logging policy, with their probabilities."""

    def go(chance: float, steps: Steps, state: int) -> Iterator[tuple[float, Steps]]:
        for action in range(len(ACTIONS)):
            taken = chance * BEHAVIOR.table[state][action]
            reward, last = REWARDS[state, action], len(steps) + 1 == horizon
            yield taken * (1.0 if last else END), [*steps, (state, action, reward, -1, True)]
            if not last:
                for then in range(STATES):
                    further = taken * (1 - END) * MOVES[state, action, then]
                    yield from go(further, [*steps, (state, action, reward, then, False)], then)

    for state in range(STATES):
        yield from go(FIRST[state], [], state)


def random_episode(rng: np.random.Generator, horizon: int) -> Steps:
    steps: Steps = []
    state = int(rng.choice(STATES, p=FIRST))
    while True:
        action = int(rng.choice(len(ACTIONS), p=BEHAVIOR.table[state]))
        reward = REWARDS[state, action] + rng.normal(scale=0.5)
        if len(steps) + 1 == horizon or rng.uniform() < END:
            return [*steps, (state, action, reward, -1, True)]
        then = int(rng.choice(STATES, p=MOVES[state, action]))
        steps.append((state, action, reward, then, False))
        state = then


def block_of(episodes: list[Steps], weights: Any = None, keys: Any = None) -> TransitionBlock:
    """Return episodes as a block; keys are by default those that a hash would give."""
    keys = (
        np.random.default_rng(9).integers(-(2**62), 2**62, len(episodes)) if keys is None else keys
    )
    rows, first, step, owner = [], [], [], []
    for i, steps in enumerate(episodes):
        for t, row in enumerate(steps):
            rows.append(row)
            first.append(t == 0)
            step.append(t)
            owner.append(i)
    state, action, reward, then, over = (np.array(c) for c in zip(*rows, strict=True))
    at = np.array(step)
    chance = np.asarray(BEHAVIOR.table)[state, action]
    return TransitionBlock(
        state=np.stack([state, at], axis=1).astype(float),
        action=action.astype(np.int32),
        reward=reward.astype(float),
        next_state=np.where(over[:, None], np.nan, np.stack([then, at + 1], axis=1)),
        next_action=np.full(len(rows), -1, np.int32),
        terminated=over,
        truncated=np.zeros(len(rows), bool),
        has_next=~over,
        first=np.array(first),
        step=at.astype(np.int64),
        episode=keys[np.array(owner)],
        behavior_prob=chance,
        weight=None if weights is None else np.asarray(weights)[np.array(owner)],
    )


def whole_log(horizon: int) -> MemoryLog:
    """Return all episodes, weighted by their probabilities."""
    chances, episodes = zip(*every_episode(horizon), strict=True)
    return MemoryLog([[block_of(list(episodes), chances)]], ACTIONS)


def cut(block: TransitionBlock, shards: int) -> MemoryLog:
    """Return the episodes of a block in shards."""
    owner = np.cumsum(block.first) - 1
    edges = np.linspace(0, owner[-1] + 1, shards + 1).astype(int)
    parts = [block.take((owner >= a) & (owner < b)) for a, b in pairwise(edges)]
    return MemoryLog([[p] for p in parts if len(p)], ACTIONS)
