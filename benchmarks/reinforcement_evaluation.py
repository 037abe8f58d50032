"""How often the intervals of off-policy estimates hold the true value, over simulated logs."""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from common import report

from sparkml_dist.reinforcement.evaluation.evaluate import EvaluationOptions, evaluate_log
from sparkml_dist.reinforcement.evaluation.log_sums import MemoryLog
from sparkml_dist.reinforcement.evaluation.state_basis import ListedStates
from sparkml_dist.reinforcement.transition_block import TransitionBlock

METHODS = ("fqe", "is", "wis", "pdis", "wpdis", "dr", "wdr", "mis")
STATES, ACTIONS, DISCOUNT, END = 4, ("a", "b", "c"), 0.95, 0.3


@dataclass(frozen=True)
class Table:
    """A policy by state."""

    table: Any
    actions: tuple[str, ...] = ACTIONS

    def probabilities(self, states: Any) -> Any:
        return self.table[np.nan_to_num(np.asarray(states)[:, 0]).astype(int)]


_RNG = np.random.default_rng(31)
MOVES = _RNG.dirichlet(np.ones(STATES), (STATES, len(ACTIONS)))
REWARDS = _RNG.normal(size=(STATES, len(ACTIONS)))
BEHAVIOR = _RNG.dirichlet(4 * np.ones(len(ACTIONS)), STATES)
TARGET = Table(0.5 * BEHAVIOR + 0.5 * _RNG.dirichlet(np.ones(len(ACTIONS)), STATES))


def true_value() -> float:
    """Return the mean return of the target policy from the first state, by a linear equation."""
    moves = np.einsum("sa,sat->st", TARGET.table, MOVES)
    rewards = (TARGET.table * REWARDS).sum(axis=1)
    return float(np.linalg.solve(np.eye(STATES) - DISCOUNT * (1 - END) * moves, rewards)[0])


def logged(episodes: int, seed: int) -> MemoryLog:
    """Return a log of episodes of the behavior."""
    rng = np.random.default_rng([77, seed])
    rows: list[tuple[int, int, float, float, bool, int, int]] = []
    for episode in range(episodes):
        state, over, step = 0, False, 0
        while not over:
            action = int(rng.choice(len(ACTIONS), p=BEHAVIOR[state]))
            reward = REWARDS[state, action] + rng.normal(scale=0.5)
            over = rng.uniform() < END
            then = int(rng.choice(STATES, p=MOVES[state, action]))
            rows.append((state, action, reward, np.nan if over else then, over, step, episode))
            state, step = then, step + 1
    columns = [np.array(c) for c in zip(*rows, strict=True)]
    state, action, reward, then, over, step, episode = columns
    keys = rng.integers(-(2**62), 2**62, episodes)
    block = TransitionBlock(
        state=state[:, None].astype(float),
        action=action.astype(np.int32),
        reward=reward.astype(float),
        next_state=then[:, None].astype(float),
        next_action=np.full(len(rows), -1, np.int32),
        terminated=over.astype(bool),
        truncated=np.zeros(len(rows), bool),
        has_next=~over.astype(bool),
        first=step == 0,
        step=step.astype(np.int64),
        episode=keys[episode],
        behavior_prob=BEHAVIOR[state, action],
    )
    return MemoryLog([[block]], ACTIONS)


def estimated(seed: int, episodes: int, interval: str) -> list[tuple[float, float, float]]:
    """Return estimate and interval of each method for one log."""
    options = EvaluationOptions(METHODS, discount=DISCOUNT, interval=interval, seed=seed)
    states = ListedStates(np.arange(float(STATES))[:, None])
    found = evaluate_log(TARGET, logged(episodes, seed), options, basis=states)
    return [(e.value, e.low, e.high) for e in (found.estimates[m] for m in METHODS)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--logs", type=int, default=400)
    parser.add_argument("--episodes", type=int, nargs="+", default=[300])
    parser.add_argument("--intervals", nargs="+", default=["percentile", "bca", "student"])
    parser.add_argument("--first-seed", type=int, default=20_000)
    args = parser.parse_args()
    truth = true_value()
    rows: list[dict[str, Any]] = []
    worst: dict[str, tuple[float, float]] = {}
    seeds = range(args.first_seed, args.first_seed + args.logs)
    for episodes in args.episodes:
        for interval in args.intervals:
            work = partial(estimated, episodes=episodes, interval=interval)
            with ProcessPoolExecutor(2) as pool:
                found = np.array(list(pool.map(work, seeds, chunksize=10)))
            held = ((found[..., 1] <= truth) & (truth <= found[..., 2])).mean(axis=0)
            worst[f"{interval} at {episodes:,}"] = (held.min(), held.max())
            row: dict[str, Any] = {"episodes": episodes, "interval": interval}
            rows.append(row | {m: f"{h:.1%}" for m, h in zip(METHODS, held, strict=True)})
            print(rows[-1], flush=True)
    error = np.sqrt(0.95 * 0.05 / args.logs)
    report(
        "reinforcement_evaluation",
        f"Share of {args.logs} simulated logs whose 95% interval holds the true value: {STATES} "
        f"states, {len(ACTIONS)} actions, episodes of {1 / END:.1f} steps on average, 500 "
        f"replicates; seeds from {args.first_seed:,}. The standard error of a share is "
        f"{error:.1%}.",
        rows,
        target="93 to 97%",
        measured="; ".join(f"{k} {a:.1%} to {b:.1%}" for k, (a, b) in worst.items()),
        met=all(a >= 0.93 and b <= 0.97 for a, b in worst.values()),
        note="The default interval, `student`, was chosen on seeds from 10,000, where it held the "
        "value in 91.8 to 97.0% at 300 episodes and in 93.2 to 95.0% at 1,000: these seeds are "
        "others.",
    )


if __name__ == "__main__":
    main()
