"""Counts of episodes while they are written: lengths, returns, ends, actions, alerts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.reinforcement.transition_block import TransitionBlock

__all__ = ["EpisodeCounts", "summarize"]

_SUMS = ("rows", "usable", "episodes", "terminated", "truncated", "noEnd", "cut", "oneRow")


class EpisodeCounts:
    """Counts of the rows of a shard, for the summary of a log.

    Parameters
    ----------
    n_actions : int
        0 where actions are numbers.
    n_state : int
        Number of features of a state.
    """

    def __init__(self, n_actions: int, n_state: int) -> None:
        self._sums = dict.fromkeys(_SUMS, 0)
        self._actions = np.zeros(n_actions, np.int64)
        self._lengths = [math.inf, -math.inf]
        self._returns = [math.inf, -math.inf]
        self._return = 0.0
        self._open_length, self._open_return = 0, 0.0
        # State features that equal the reward in each row so far, and whether rewards vary.
        self._equal = np.ones(n_state, bool)
        self._rewards = [math.inf, -math.inf]

    def add(
        self,
        block: TransitionBlock,
        *,
        acts: npt.NDArray[np.bool_],
        ends: npt.NDArray[np.bool_],
        cut: npt.NDArray[np.bool_],
    ) -> None:
        """Count rows in order.

        Parameters
        ----------
        block : TransitionBlock
            Also of rows without an action.
        acts, ends, cut : ndarray of bool, shape (n,)
            Rows with an action; rows after which their episode has no further action; rows after
            which it was cut at a gap.
        """
        last = acts & ends
        self._sums["rows"] += int(acts.sum())
        self._sums["usable"] += int((block.usable & acts).sum())
        self._sums["episodes"] += int(last.sum())
        self._sums["terminated"] += int((last & block.terminated).sum())
        self._sums["truncated"] += int((last & block.truncated & ~cut).sum())
        self._sums["noEnd"] += int((last & ~block.usable & ~block.truncated).sum())
        self._sums["cut"] += int((last & cut).sum())
        self._sums["oneRow"] += int((last & block.first).sum())
        if len(self._actions):
            self._actions += np.bincount(block.action[acts], minlength=len(self._actions))
        rewards = np.where(acts, block.reward, 0.0)
        self._add_returns(rewards, acts, last)
        if acts.any():
            own = block.reward[acts]
            self._rewards = _span(self._rewards, own)
            self._equal &= (block.state[acts] == own[:, None]).all(axis=0)

    def _add_returns(
        self,
        rewards: npt.NDArray[np.float64],
        acts: npt.NDArray[np.bool_],
        last: npt.NDArray[np.bool_],
    ) -> None:
        stops = np.flatnonzero(last)
        if len(stops):
            starts = np.concatenate(([0], stops[:-1] + 1))
            lengths = np.add.reduceat(acts.astype(np.int64), starts)
            lengths[-1] = acts[starts[-1] : stops[-1] + 1].sum()
            returns = np.add.reduceat(rewards, starts)
            returns[-1] = rewards[starts[-1] : stops[-1] + 1].sum()
            lengths[0] += self._open_length
            returns[0] += self._open_return
            self._lengths, self._returns = (
                _span(self._lengths, lengths),
                _span(self._returns, returns),
            )
            self._return += float(returns.sum())
            self._open_length, self._open_return = 0, 0.0
        rest = slice(stops[-1] + 1 if len(stops) else 0, None)
        self._open_length += int(acts[rest].sum())
        self._open_return += float(rewards[rest].sum())

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {
            **self._sums,
            "actions": self._actions.tolist(),
            "lengths": self._lengths,
            "returns": self._returns,
            "return": self._return,
            "equal": self._equal.tolist(),
            "rewards": self._rewards,
        }


def summarize(
    notes: Sequence[dict[str, Any]], actions: Sequence[Any], state: Sequence[str], reward: str
) -> dict[str, Any]:
    """Return the summary of a log from the counts of its shards.

    Parameters
    ----------
    notes : sequence of dict
        Of `EpisodeCounts.to_dict`, in the order of the shards.
    actions : sequence
        The list of actions; empty where they are numbers.
    state : sequence of str
        Names of the features of a state.
    reward : str
        Name of the reward column.

    Returns
    -------
    dict
        ``episodes``, ``rows`` (actions that were taken), ``transitions`` (those of which a value
        can be learnt), ``terminated``, ``truncated`` and ``noEnd`` (episodes by how they end),
        ``cut`` (at gaps), ``oneRow``; ``length`` and ``return`` (minimum, mean, maximum; returns
        are not discounted); ``actions`` (pairs of an action and its rows); ``alerts``.
    """
    used = [n for n in notes if n["rows"]]
    total = {name: sum(n[name] for n in used) for name in _SUMS}
    episodes = max(1, total["episodes"])

    def span(name: str, mean: float) -> dict[str, float]:
        least = min((n[name][0] for n in used), default=0)
        most = max((n[name][1] for n in used), default=0)
        return {"min": least, "mean": mean, "max": most}

    counts = np.sum([n["actions"] for n in used], axis=0).tolist() if used else []
    alerts = []
    varied = used and min(n["rewards"][0] for n in used) < max(n["rewards"][1] for n in used)
    equal = np.all([n["equal"] for n in used], axis=0) if used else []
    alerts += [
        f"The state column {name!r} equals the reward {reward!r} in every row: the policy would "
        "look at what it is to predict."
        for name, same in zip(state, equal, strict=False)
        if same and varied
    ]
    if total["noEnd"]:
        alerts.append(
            f"{total['noEnd']:,} of {total['episodes']:,} episodes have no end: they are taken as "
            "cut off after their last row, and not as terminated."
        )
    never = [a for a, n in zip(actions, counts, strict=False) if n == 0]
    if never:
        alerts.append(f"The log never takes the actions {', '.join(map(repr, never[:8]))}.")
    return {
        "episodes": total["episodes"],
        "rows": total["rows"],
        "transitions": total["usable"],
        **{name: total[name] for name in ("terminated", "truncated", "noEnd", "cut", "oneRow")},
        "length": span("lengths", total["rows"] / episodes),
        "return": span("returns", math.fsum(n["return"] for n in used) / episodes),
        "actions": [[a, n] for a, n in zip(actions, counts, strict=False)],
        "alerts": alerts,
    }


def _span(before: list[float], values: npt.NDArray[Any]) -> list[float]:
    return [min(before[0], float(values.min())), max(before[1], float(values.max()))]
