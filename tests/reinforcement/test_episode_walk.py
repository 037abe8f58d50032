"""Rows of a log become transitions, in plain numpy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparkml_dist.errors import DataError
from sparkml_dist.reinforcement.episode_counts import EpisodeCounts, summarize
from sparkml_dist.reinforcement.episode_walk import EpisodeWalk, LogRows
from sparkml_dist.reinforcement.transition_block import TransitionBlock


def rows_of(lengths, *, final=(), ends=(), seed=0):
    """Return the rows of episodes 10, 11, …; those in `final` have a last row without an action."""
    rng = np.random.default_rng(seed)
    parts = []
    for number, length in enumerate(lengths):
        n = length + (number in final)
        action = rng.integers(0, 2, n).astype(np.int32)
        reward = rng.normal(size=n)
        done = np.zeros(n, bool)
        done[length - 1] = number in ends
        if number in final:
            action[-1], reward[-1] = -1, np.nan
        parts.append(
            LogRows(
                episode=np.full(n, 10 + number),
                step=np.arange(n),
                action=action,
                reward=reward,
                terminated=done,
                truncated=np.zeros(n, bool),
                state=rng.normal(size=(n, 2)),
            )
        )
    joined = parts[0]
    for part in parts[1:]:
        joined = joined.then(part)
    return joined


def walked(rows, cuts=(), *, chained=True, gaps="error", whole=True):
    counts = EpisodeCounts(2, rows.state.shape[1])
    walk = EpisodeWalk(gaps=gaps, whole_steps=whole, chained=chained, counts=counts)
    found = []
    for part in np.split(np.arange(len(rows)), list(cuts)):
        if len(part):
            found += walk.add(rows.take(part))
    found += walk.end()
    return TransitionBlock.concat(found), summarize([counts.to_dict()], ["L", "R"], ["x", "y"], "r")


def test_batches_change_nothing():
    rng = np.random.default_rng(3)
    rows = rows_of([4, 1, 7, 2], final=(1, 3), ends=(0, 1))
    whole, summary = walked(rows)
    assert summary["episodes"] == 4
    assert summary["rows"] == len(whole) == 14
    assert summary["terminated"] == 2
    assert summary["noEnd"] == 1  # the third: the fourth has a final state
    assert summary["oneRow"] == 1
    assert summary["length"] == {"min": 1.0, "mean": 3.5, "max": 7.0}
    for _ in range(20):
        cuts = np.sort(rng.integers(0, len(rows), 3))
        found, other = walked(rows, cuts)
        for name, array in vars(whole).items():
            assert np.array_equal(array, getattr(found, name), equal_nan=name == "next_state") or (
                array is None
            )
        assert other["return"]["mean"] == pytest.approx(summary["return"]["mean"])
        assert other["actions"] == summary["actions"]


def test_what_follows_a_row():
    rows = rows_of([3, 2], final=(1,), ends=(0,))
    found, _ = walked(rows)
    assert found.has_next.tolist() == [True, True, False, True, True]
    assert found.terminated.tolist() == [False, False, True, False, False]
    assert found.usable.all()
    assert found.first.tolist() == [True, False, False, True, False]
    assert found.step.tolist() == [0, 1, 2, 0, 1]
    assert found.next_action.tolist() == [*rows.action[1:3], -1, rows.action[4], -1]
    assert np.array_equal(found.next_state[[0, 1, 3, 4]], rows.state[[1, 2, 4, 5]])
    assert np.isnan(found.next_state[2]).all()


def test_a_truncated_episode_is_not_a_terminated_one():
    rows = rows_of([2, 2], ends=(1,))
    rows.truncated[1] = True
    found, summary = walked(rows)
    assert found.usable.tolist() == [True, False, True, True]
    assert (summary["truncated"], summary["terminated"], summary["noEnd"]) == (1, 1, 0)
    assert summary["transitions"] == 3


def test_flags_on_a_last_row_without_an_action_are_those_of_the_row_before():
    rows = rows_of([2], final=(0,))
    rows.terminated[2] = True
    found, summary = walked(rows)
    assert found.terminated.tolist() == [False, True]
    assert summary["terminated"] == 1


def change(rows, name, at, value):
    getattr(rows, name)[at] = value
    return rows


@pytest.mark.parametrize(
    ("code", "name", "at", "value"),
    [
        ("step_twice", "step", 1, 0),
        ("step_gap", "step", 2, 9),
        ("rows_after_end", "terminated", 0, True),
        ("action_null", "action", 1, -1),
        ("reward_not_finite", "reward", 1, np.nan),
        ("reward_not_finite", "reward", 1, np.inf),
    ],
)
def test_what_cannot_be_is_refused(code, name, at, value):
    with pytest.raises(DataError) as found:
        walked(change(rows_of([3, 3]), name, at, value), [2])
    assert found.value.code == code
    assert found.value.message.startswith("\0episode 10\0")


def test_the_reward_of_a_row_without_an_action_is_refused():
    with pytest.raises(DataError, match="action_null"):
        walked(change(rows_of([2], final=(0,)), "reward", 2, 1.0))


def test_a_gap_may_cut_an_episode():
    rows = change(rows_of([4], ends=(0,)), "step", slice(2, None), [7, 8])
    found, summary = walked(rows, [1, 3], gaps="cut")
    assert summary["episodes"] == 2
    assert summary["cut"] == 1
    assert found.usable.tolist() == [True, False, True, True]
    assert found.step.tolist() == [0, 1, 0, 1]
    kept, summary = walked(rows, gaps="ignore")
    assert kept.usable.all()
    assert summary["episodes"] == 1


def test_a_state_that_is_the_reward_is_named():
    rows = rows_of([3, 3])
    rows.state[:, 1] = rows.reward
    alerts = walked(rows)[1]["alerts"]
    assert any("'y' equals the reward 'r'" in alert for alert in alerts)
    assert not any("'x'" in alert for alert in alerts)


def test_equal_rows_of_single_transitions_are_told_apart():
    rows = rows_of([1] * 12)
    rows.episode[:] = np.repeat([-4, 1, 7], [5, 1, 6])
    given = {"next_state": rows.state, "has_next": np.ones(12, bool)}
    rows = replace(rows, **given)
    found, summary = walked(rows, chained=False)
    assert len(set(found.episode.tolist())) == summary["episodes"] == 12
    assert found.first.all()
    for cuts in ([1], [3, 5, 8], [4, 6, 7, 11]):
        assert np.array_equal(walked(rows, cuts, chained=False)[0].episode, found.episode)
