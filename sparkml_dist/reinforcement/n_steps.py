"""Returns of several steps, along the rows of episodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.reinforcement.transition_block import TransitionBlock

__all__ = ["StepReturns", "step_returns"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StepReturns:
    """What the value of each action moves to: ``reward + discount · value(next_state)``.

    Attributes
    ----------
    rows : ndarray of int64, shape (n,)
        Positions of the actions in the block.
    reward : ndarray of float64, shape (n,)
        Discounted sum of the rewards of up to so many steps.
    discount : ndarray of float64, shape (n,)
        Discount of the value of the next state; 0 where the episode ends before it.
    last : ndarray of int64, shape (n,)
        Position of the row whose next state, and next available actions, these are.
    """

    rows: npt.NDArray[np.int64]
    reward: Floats
    discount: Floats
    last: npt.NDArray[np.int64]


def step_returns(block: TransitionBlock, steps: int, discount: float) -> StepReturns:
    """Return the returns of `steps` steps of every action of which a value can be learnt.

    A return ends early where its episode terminates, with no value to follow, and where it is
    truncated, with the value of the last state that is known.

    Parameters
    ----------
    block : TransitionBlock
        Whole episodes, in order.
    steps : int
    discount : float
        Of rows without their own.
    """
    n = len(block)
    usable, rates = block.usable, block.discounts(discount)
    links = np.zeros(n, bool)
    if n > 1:
        links[:-1] = (
            ~(block.terminated | block.truncated)[:-1]
            & block.has_next[:-1]
            & (block.episode[1:] == block.episode[:-1])
            & (block.step[1:] == block.step[:-1] + 1)
            & usable[1:]
        )
    rows = np.flatnonzero(usable)
    total, factor = np.zeros(len(rows)), np.ones(len(rows))
    last, alive = rows.copy(), np.ones(len(rows), bool)
    for step in range(steps):
        at = np.where(alive, rows + step, 0)
        total += np.where(alive, factor * block.reward[at], 0.0)
        factor = np.where(alive, factor * rates[at], factor)
        last = np.where(alive, at, last)
        alive = alive & links[at]
        if not alive.any():
            break
    ended: Any = block.terminated[last]
    return StepReturns(rows, total, np.where(ended, 0.0, factor), last)
