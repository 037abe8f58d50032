"""Returns of several steps, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.reinforcement.n_steps import step_returns
from tests.reinforcement.written_transitions import block


def _found(made, steps, discount=0.5):
    found = step_returns(made, steps, discount)
    return {
        int(row): (float(reward), float(rate), int(last))
        for row, reward, rate, last in zip(
            found.rows, found.reward, found.discount, found.last, strict=True
        )
    }


def test_a_terminated_episode_has_no_value_after_it():
    made = block([0, 1, 2, 3], [0, 0, 0, 0], [1, 2, 4, 8], terminated=[3])
    assert _found(made, 1) == {0: (1, 0.5, 0), 1: (2, 0.5, 1), 2: (4, 0.5, 2), 3: (8, 0, 3)}
    assert _found(made, 2) == {0: (2, 0.25, 1), 1: (4, 0.25, 2), 2: (8, 0, 3), 3: (8, 0, 3)}
    # 1 + 2/2 + 4/4 + 8/8; the end comes before the tenth step.
    assert _found(made, 10)[0] == (4, 0, 3)


def test_a_truncated_episode_goes_on_with_the_value_of_its_last_known_state():
    # The state after the last row is not known: no value of its action is learnt, and returns of
    # earlier rows end at its state, which is the next state of row 1.
    made = block([0, 1, 2], [0, 0, 0], [1, 2, 4], truncated=[2])
    assert _found(made, 3) == {0: (2, 0.25, 1), 1: (2, 0.5, 1)}
    # Where it is known, the returns go as far as that.
    made = block([0, 1, 2], [0, 0, 0], [1, 2, 4], next_state=[1, 2, 3], truncated=[2])
    assert _found(made, 3) == {0: (3, 0.125, 2), 1: (4, 0.25, 2), 2: (4, 0.5, 2)}


def test_returns_stay_within_episodes_and_take_rows_own_discounts():
    made = block(
        [0, 1, 5, 6],
        [0, 0, 0, 0],
        [1, 2, 4, 8],
        episode=[3, 3, 9, 9],
        terminated=[1, 3],
        discount=np.array([0.5, 0.5, 0.25, 1.0]),
    )
    assert _found(made, 5) == {0: (2, 0, 1), 1: (2, 0, 1), 2: (6, 0, 3), 3: (8, 0, 3)}


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_returns_are_those_of_a_loop(steps):
    rng = np.random.default_rng(steps)
    lengths = rng.integers(1, 9, 12)
    episode = np.repeat(np.arange(12), lengths)
    ends = np.cumsum(lengths) - 1
    n = len(episode)
    made = block(
        rng.normal(size=n),
        rng.integers(0, 2, n),
        rng.normal(size=n),
        episode=episode,
        terminated=ends[::2],
        truncated=ends[1::2],
    )
    found = _found(made, steps, 0.9)
    for row in range(n):
        total, factor, at = 0.0, 1.0, row
        if not made.usable[row]:
            assert row not in found
            continue
        while True:
            total += factor * made.reward[at]
            factor *= 0.9
            if at - row + 1 == steps or made.terminated[at] or not made.usable[at + 1]:
                break
            at += 1
        assert found[row] == pytest.approx((total, 0.0 if made.terminated[at] else factor, at))
