"""Walks along the rows of episodes, in order, and joins each row with the next one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.hashing import hash_long
from sparkml_dist.errors import DataError
from sparkml_dist.reinforcement.episode_counts import EpisodeCounts
from sparkml_dist.reinforcement.transition_block import TransitionBlock

__all__ = ["EPISODE", "EpisodeWalk", "Gaps", "LogRows"]

Gaps = Literal["error", "cut", "ignore"]
#: Begins a message about an episode: its hash follows, a null character, and what is wrong.
EPISODE = "\0episode "


@dataclass(frozen=True)
class LogRows:
    """Rows of a log as they arrive: sorted by episode and step.

    Attributes
    ----------
    episode : ndarray of int64, shape (n,)
    step : ndarray of int64 or float64, shape (n,)
        The value of the step column.
    action : ndarray, shape (n,) or (n, n_action_columns)
        Codes, -1 for null; NaN for a null number.
    reward : ndarray of float64, shape (n,)
    terminated, truncated : ndarray of bool, shape (n,)
    state : ndarray of float64, shape (n, n_state)
    next_state : ndarray of float64, shape (n, n_state), or None
        Where the log has it.
    has_next : ndarray of bool, shape (n,), or None
        Whether a row's next state is not null.
    behavior_prob, discount, weight : ndarray of float64, shape (n,), or None
    available : ndarray of bool, shape (n, n_actions), or None
    """

    episode: npt.NDArray[np.int64]
    step: npt.NDArray[Any]
    action: npt.NDArray[Any]
    reward: npt.NDArray[np.float64]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    state: npt.NDArray[np.float64]
    next_state: npt.NDArray[np.float64] | None = None
    has_next: npt.NDArray[np.bool_] | None = None
    behavior_prob: npt.NDArray[np.float64] | None = None
    discount: npt.NDArray[np.float64] | None = None
    weight: npt.NDArray[np.float64] | None = None
    available: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.episode)

    def take(self, rows: Any) -> LogRows:
        """Return some rows."""
        found: dict[str, Any] = {n: None if v is None else v[rows] for n, v in vars(self).items()}
        return LogRows(**found)

    def then(self, other: LogRows) -> LogRows:
        """Return these rows and others after them."""
        found: dict[str, Any] = {
            n: None if v is None else np.concatenate([v, getattr(other, n)])
            for n, v in vars(self).items()
        }
        return LogRows(**found)

    @property
    def acts(self) -> npt.NDArray[np.bool_]:
        """Rows with an action; the last row of an episode may have none, but its final state."""
        if self.action.ndim == 2:
            return ~np.isnan(self.action).any(axis=1)
        found: npt.NDArray[np.bool_] = self.action >= 0
        return found


class EpisodeWalk:
    """Makes transitions of the sorted rows of a shard, batch by batch; checks them.

    Parameters
    ----------
    gaps : {"error", "cut", "ignore"}
        What a step that is missing means: an error; an episode cut off before it, whose last next
        state is not known; nothing, since steps only give the order.
    whole_steps : bool
        Whether steps are whole numbers, so that one can be missing.
    chained : bool
        Whether rows of an episode follow each other; false for a table of single transitions.
    counts : EpisodeCounts
        Takes note of all rows.
    """

    def __init__(
        self, *, gaps: Gaps, whole_steps: bool, chained: bool, counts: EpisodeCounts
    ) -> None:
        self._gaps = gaps
        self._whole = whole_steps
        self._chained = chained
        self._counts = counts
        self._held: LogRows | None = None
        self._position = 0  # of the held row within its episode
        self._last: tuple[int | None, int] = (None, 0)  # key of the last single row, and its number

    def add(self, rows: LogRows) -> Iterator[TransitionBlock]:
        """Take the next rows; yield the transitions that are complete.

        Raises
        ------
        DataError
            See `Transitions`. Its message has the episode's hash after a null character.
        """
        if not self._chained:
            rows = replace(rows, episode=self._told_apart(rows.episode))
        if self._held is not None:
            rows = self._held.then(rows)
        if len(rows) < 2:
            self._held = rows if len(rows) else self._held
            return
        yield from self._joined(rows.take(slice(0, -1)), rows.take(slice(1, None)))
        self._held = rows.take(slice(-1, None))

    def end(self) -> Iterator[TransitionBlock]:
        """Yield the transition of the last row."""
        if self._held is not None and len(self._held):
            yield from self._joined(self._held, None)
        self._held = None

    def _told_apart(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return keys of single transitions, of which equal ones, which are neighbours, differ.

        They are rows of equal content: any order of them is the same.
        """
        if not len(keys):
            return keys
        n, (key, number) = len(keys), self._last
        begins = np.append(True, keys[1:] != keys[:-1])
        starts = np.where(begins, np.arange(n), 0)
        if keys[0] == key:
            starts[0] = -number - 1
            starts = np.where(begins | (np.arange(n) == 0), starts, -n - number - 1)
        numbers = np.arange(n) - np.maximum.accumulate(starts)
        self._last = (int(keys[-1]), int(numbers[-1]))
        return hash_long(numbers, keys).view(np.int64)

    def _joined(self, rows: LogRows, after: LogRows | None) -> Iterator[TransitionBlock]:
        """Yield the transitions of rows, of which each is followed by that of `after`."""
        n, acts = len(rows), rows.acts
        goes_on = np.zeros(n, bool)
        next_acts, final = np.zeros(n, bool), np.zeros(n, bool)
        if after is not None and self._chained:
            goes_on = rows.episode == after.episode
            next_acts = goes_on & after.acts
            final = goes_on & ~after.acts
        terminated = rows.terminated.copy()
        truncated = rows.truncated.copy()
        cut = np.zeros(n, bool)
        if after is not None:
            # A last row that has only a state may carry the flags of the end.
            terminated |= final & after.terminated
            truncated |= final & after.truncated
            cut = self._check_steps(rows, after, goes_on, terminated | truncated, next_acts)
        self._check_rows(rows, acts, goes_on)
        goes_on &= ~cut
        truncated |= cut
        truncated &= ~terminated
        block = self._block(rows, after, goes_on, terminated, truncated, n)
        self._counts.add(block, acts=acts, ends=~goes_on | final, cut=cut)
        if acts.any():
            yield block if acts.all() else block.take(acts)

    def _block(
        self,
        rows: LogRows,
        after: LogRows | None,
        goes_on: npt.NDArray[np.bool_],
        terminated: npt.NDArray[np.bool_],
        truncated: npt.NDArray[np.bool_],
        n: int,
    ) -> TransitionBlock:
        next_state = np.full(rows.state.shape, np.nan)
        next_action = np.full(n, -1, np.int32)
        has_next = np.zeros(n, bool)
        next_available = None if rows.available is None else np.ones(rows.available.shape, bool)
        if rows.next_state is not None and rows.has_next is not None:
            next_state, has_next = rows.next_state.copy(), rows.has_next & ~terminated
        if after is not None and goes_on.any():
            follows = goes_on & ~terminated
            if rows.next_state is None:
                next_state[follows] = after.state[follows]
                has_next = follows.copy()
            if rows.action.ndim == 1:
                next_action[follows] = after.action[follows]
            if next_available is not None and after.available is not None:
                next_available[follows] = after.available[follows]
        next_state[~has_next] = np.nan
        step = self._steps(rows, goes_on)
        return TransitionBlock(
            state=rows.state,
            action=rows.action,
            reward=rows.reward,
            next_state=next_state,
            next_action=next_action,
            terminated=terminated,
            truncated=truncated,
            has_next=has_next,
            first=step == 0,
            step=step,
            episode=rows.episode,
            behavior_prob=rows.behavior_prob,
            discount=rows.discount,
            weight=rows.weight,
            available=rows.available,
            next_available=next_available,
        )

    def _steps(self, rows: LogRows, goes_on: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
        """Return each row's position in its episode; remember that of the row to come.

        An episode that was cut at a gap begins again from 0.
        """
        n = len(rows)
        starts = np.full(n, -1 - self._position)
        starts[0] = -self._position
        begins = np.flatnonzero(~goes_on[:-1]) + 1
        starts[begins] = begins
        starts = np.maximum.accumulate(starts)
        step: npt.NDArray[np.int64] = np.arange(n) - starts
        self._position = int(step[-1]) + 1 if goes_on[-1] else 0
        return step

    def _check_steps(
        self,
        rows: LogRows,
        after: LogRows,
        goes_on: npt.NDArray[np.bool_],
        ends: npt.NDArray[np.bool_],
        next_acts: npt.NDArray[np.bool_],
    ) -> npt.NDArray[np.bool_]:
        """Raise for steps that cannot be; return where an episode is cut at a gap."""
        twice = goes_on & (rows.step == after.step)
        _refuse(
            twice,
            rows.episode,
            "step_twice",
            lambda i: f"has the step {_shown(rows.step[i])} twice",
            "Name the columns that tell episodes apart, or drop the copies.",
        )
        late = next_acts & ends
        _refuse(
            late,
            rows.episode,
            "rows_after_end",
            lambda i: (
                f"goes on with step {_shown(after.step[i])} after its end at step "
                f"{_shown(rows.step[i])}"
            ),
            "An end is the last action of an episode: give what follows another episode, or "
            "correct the flags.",
        )
        if not self._whole or self._gaps == "ignore":
            return np.zeros(len(rows), bool)
        gap = goes_on & (after.step - rows.step != 1)
        if self._gaps == "error":
            _refuse(
                gap,
                rows.episode,
                "step_gap",
                lambda i: f"has no step between {_shown(rows.step[i])} and {_shown(after.step[i])}",
                "Complete the log; or pass gaps='cut' to end an episode there, with a next state "
                "that is not known, or gaps='ignore' where steps only give the order.",
            )
        return gap

    def _check_rows(
        self, rows: LogRows, acts: npt.NDArray[np.bool_], goes_on: npt.NDArray[np.bool_]
    ) -> None:
        _refuse(
            ~acts & goes_on if self._chained else ~acts,
            rows.episode,
            "action_null",
            lambda i: f"has no action at step {_shown(rows.step[i])}",
            "Only the last row of an episode may have none: it holds the final state.",
        )
        _refuse(
            acts & ~np.isfinite(rows.reward),
            rows.episode,
            "reward_not_finite",
            lambda i: f"has the reward {rows.reward[i]} at step {_shown(rows.step[i])}",
            "Rewards are finite numbers; fill in what is missing, or drop those episodes.",
        )
        _refuse(
            ~acts & np.isfinite(rows.reward) & (rows.reward != 0),
            rows.episode,
            "action_null",
            lambda i: (
                f"has the reward {rows.reward[i]} but no action at step {_shown(rows.step[i])}"
            ),
            "A row has the reward of its own action: move rewards that are written on arrival "
            "one row up.",
        )
        if rows.behavior_prob is not None:
            p = rows.behavior_prob
            _refuse(
                acts & ~((p > 0) & (p <= 1)),
                rows.episode,
                "probability_range",
                lambda i: f"has the probability {p[i]} at step {_shown(rows.step[i])}",
                "It is the probability with which the logged action was taken, in (0, 1].",
            )
        if rows.discount is not None:
            g = rows.discount
            _refuse(
                acts & ~((g >= 0) & (g <= 1)),
                rows.episode,
                "discount_range",
                lambda i: f"has the discount {g[i]} at step {_shown(rows.step[i])}",
                "A discount lies in [0, 1].",
            )


def _refuse(
    wrong: npt.NDArray[np.bool_], episode: npt.NDArray[np.int64], code: str, what: Any, hint: str
) -> None:
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise DataError(code, f"{EPISODE}{episode[at]}\0{what(at)}.", hint)


def _shown(step: Any) -> str:
    return f"{step:,.12g}" if isinstance(step, float | np.floating) else f"{step}"
