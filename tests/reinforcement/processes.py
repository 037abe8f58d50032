"""Decision processes of gymnasium, and numbers that are known of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparkml_dist.reinforcement.tabular.decision_process import DecisionProcess, Groups

GAMMA = 0.99


def entries(name: str) -> list[tuple[int, int, float, int, bool, float]]:
    """Return (state, action, reward, next state, terminated, probability) of all entries."""
    import gymnasium

    table = gymnasium.make(name).unwrapped.P
    return [
        (int(s), int(a), float(r), int(n), bool(t), float(p))
        for s in table
        for a in table[s]
        for p, n, r, t in table[s][a]
    ]


def starts(name: str) -> Any:
    """Return the distribution of the first state."""
    import gymnasium

    return np.asarray(gymnasium.make(name).unwrapped.initial_state_distrib)


def groups_of(rows: Any, discount: float) -> Groups:
    """Return entries as groups."""
    s, a, r, n, t, p = (np.array(c) for c in zip(*rows, strict=True))
    return Groups(
        s[:, None].astype(float),
        a,
        n[:, None].astype(float),
        t,
        p,
        p * r,
        p * discount,
        np.ones(len(s)),
    )


def process_of(name: str, discount: float = GAMMA) -> DecisionProcess:
    """Return the process of an environment, with probabilities as weights."""
    rows = entries(name)
    return DecisionProcess.of(groups_of(rows, discount), 1 + max(r[1] for r in rows))


def value_of(name: str, policy: Any, discount: float, steps: int | None = None) -> float:
    """Return the mean value over first states of a policy, shape (n_states, n_actions)."""
    rows = entries(name)
    n = len(policy)
    follow, reward = np.zeros((n, n)), np.zeros(n)
    for s, a, r, after, done, p in rows:
        reward[s] += policy[s, a] * p * r
        if not done:
            follow[s, after] += policy[s, a] * p
    if steps is None:
        v = np.linalg.solve(np.eye(n) - discount * follow, reward)
    else:
        v = np.zeros(n)
        for _ in range(steps):
            v = reward + discount * follow @ v
    return float(starts(name) @ v)
