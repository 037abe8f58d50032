"""Episodes with the importance weights of their steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.reinforcement.evaluation.policy_columns import PolicyColumns
from sparkml_dist.reinforcement.evaluation.value_sums import (
    FittedValues,
    ValueModel,
    folds_of,
)
from sparkml_dist.reinforcement.transition_block import TransitionBlock

__all__ = ["EPISODE_SUMS", "STEP_SUMS", "Setting", "WeightedEpisodes", "weighted_episodes"]

Floats = npt.NDArray[np.float64]

#: Sums over episodes. ``weight`` is the product of the ratios of an episode, ``lost`` the share of
#: the policy's probability on actions that the log never takes, before the first such step.
EPISODE_SUMS = (
    "one",
    "weight",
    "weighted_return",
    "clipped_return",
    "per_decision",
    "doubly_robust",
    "direct",
    "fitted",
    "marginal",
    "return",
    "low",
    "high",
)
#: Sums over episodes, by step.
STEP_SUMS = ("weight", "reward", "residual", "value")

# Products of ratios stop here, so that their squares are finite.
_LARGEST = 1e150
_CELLS = 1 << 19


@dataclass(frozen=True)
class Setting:
    """What is evaluated, and how; it is sent to tasks.

    Attributes
    ----------
    policy : PolicyColumns
    discount : float
        Used where the log has no discounts.
    clip : float
        Largest weight of an episode in ``clipped_return``.
    fitted : FittedValues or None
        Values for the direct and doubly robust estimates.
    given : bool
        Whether values come from ``policy.q`` in the place of `fitted`.
    seed : int
        Of folds.
    never : tuple of bool
        Which actions the log never takes.
    reward_range : tuple of float, or None
        Least and largest reward of such actions.
    horizon : int
        Most actions of an episode.
    """

    policy: PolicyColumns
    discount: float
    clip: float
    fitted: FittedValues | None
    given: bool
    seed: int
    never: tuple[bool, ...]
    reward_range: tuple[float, float] | None
    horizon: int


@dataclass(frozen=True)
class WeightedEpisodes:
    """Some episodes.

    Attributes
    ----------
    key : ndarray of int64, shape (e,)
    weight : ndarray, shape (e,)
        Weight of each episode in the log.
    sums : ndarray, shape (e, len(EPISODE_SUMS))
    steps : ndarray, shape (e, l + 1, len(STEP_SUMS))
        Up to one step after the longest of them. Where an episode has ended, its weight stays.
    ratios : ndarray, shape (n,)
        Of rows.
    lost : ndarray, shape (n,)
        Of rows: probability of actions that the log never takes.
    row_weight : ndarray, shape (n,)
    """

    key: npt.NDArray[np.int64]
    weight: Floats
    sums: Floats
    steps: Floats
    ratios: Floats
    lost: Floats
    row_weight: Floats


def weighted_episodes(block: TransitionBlock, setting: Setting) -> Iterator[WeightedEpisodes]:
    """Yield the episodes of a block, some thousand steps at a time."""
    starts = np.append(np.flatnonzero(block.first), len(block))
    begin = 0
    while begin < len(starts) - 1:
        end, longest = begin + 1, int(starts[begin + 1] - starts[begin])
        while end < len(starts) - 1:
            longer = max(longest, int(starts[end + 1] - starts[end]))
            if longer * (end + 1 - begin) > _CELLS:
                break
            end, longest = end + 1, longer
        yield _weighted(block.take(slice(starts[begin], starts[end])), setting)
        begin = end


def _weighted(block: TransitionBlock, setting: Setting) -> WeightedEpisodes:
    n, starts = len(block), np.flatnonzero(block.first)
    episode = np.cumsum(block.first) - 1
    step = np.arange(n) - starts[episode]
    e, length = len(starts), int(step.max()) + 1
    last = np.append(starts[1:], n) - 1
    chances = setting.policy.probabilities(block.state)
    taken = chances[np.arange(n), block.action]
    ratios = np.ones(n) if block.behavior_prob is None else taken / block.behavior_prob

    def padded(values: Floats, fill: float) -> Floats:
        found = np.full((e, length), fill)
        found[episode, step] = values
        return found

    with np.errstate(over="ignore", under="ignore"):
        product = np.minimum(np.cumprod(padded(ratios, 1.0), axis=1), _LARGEST)
    before = np.hstack([np.ones((e, 1)), product])
    onward = padded(block.discounts(setting.discount), 1.0)
    discount = np.hstack([np.ones((e, 1)), np.cumprod(onward, axis=1)])
    q, v, v_next = _values(block, chances, setting)
    reward = padded(block.reward, 0.0)
    value = np.zeros((e, length + 1))
    value[episode, step] = v
    value[np.arange(e), step[last] + 1] = v_next[last]
    steps = np.zeros((e, length + 1, len(STEP_SUMS)))
    steps[:, :length, 0] = product
    steps[:, length, 0] = product[:, -1]
    steps[:, :length, 1] = discount[:, :-1] * product * reward
    steps[:, :length, 2] = discount[:, :-1] * product * (reward - padded(q, 0.0))
    steps[:, :, 3] = discount * before * value
    total = (discount[:, :-1] * reward).sum(axis=1)
    weight = product[:, -1]
    lost = chances @ np.asarray(setting.never, float) + (1.0 - chances.sum(axis=1)).clip(min=0.0)
    lost[lost < 1e-12] = 0.0
    # Discounts of the log are known up to here, and not what they would have been later.
    later = setting.discount if block.discount is None else 1.0
    low, high = _bounds(padded(lost, 0.0) * discount[:, :-1] * before[:, :-1], setting, later)
    direct, fitted, marginal = _pulled(block, ratios, chances, setting)
    per_decision = steps[:, :, 1].sum(axis=1)
    sums = {
        "one": np.ones(e),
        "weight": weight,
        "weighted_return": weight * total,
        "clipped_return": np.minimum(weight, setting.clip) * total,
        "per_decision": per_decision,
        "doubly_robust": (steps[:, :, 2] + steps[:, :, 3]).sum(axis=1),
        "direct": v[starts] if setting.given else direct,
        "fitted": fitted,
        "marginal": marginal,
        "return": total,
        "low": per_decision + low,
        "high": per_decision + high,
    }
    columns = np.stack([sums[name] for name in EPISODE_SUMS], axis=1)
    return WeightedEpisodes(
        block.episode[starts],
        block.weights()[starts],
        columns,
        steps,
        ratios,
        lost,
        block.weights(),
    )


def _values(block: TransitionBlock, chances: Floats, setting: Setting) -> tuple[Floats, ...]:
    """Return the values of rows' actions, of their states and of their next states."""
    rows = np.arange(len(block))
    goes = block.has_next & ~block.terminated
    then = np.where(goes[:, None], block.next_state, block.state)
    if setting.given:
        values = setting.policy.q_values(block.state)
        after = setting.policy.q_values(then)
    elif setting.fitted is not None:
        values, after = np.zeros_like(chances), np.zeros_like(chances)
        fold = folds_of(block, len(setting.fitted.without), setting.seed)
        for f, model in enumerate(setting.fitted.without):
            here = fold == f
            values[here] = model.basis.values(block.state[here], model.value)
            after[here] = model.basis.values(then[here], model.value)
    else:
        return np.zeros(len(block)), np.zeros(len(block)), np.zeros(len(block))
    next_value = (setting.policy.probabilities(then) * after).sum(axis=1)
    return values[rows, block.action], (chances * values).sum(axis=1), np.where(goes, next_value, 0)


def _pulled(
    block: TransitionBlock, ratios: Floats, chances: Floats, setting: Setting
) -> tuple[Floats, Floats, Floats]:
    """Return fitted values of first states, and each episode's share in the estimates by them.

    Shares are to first order; their mean over episodes is the estimate itself.
    """
    starts = np.flatnonzero(block.first)
    zeros = np.zeros(len(starts))
    if setting.fitted is None:
        return zeros, zeros, zeros
    rows, use = np.arange(len(block)), block.usable
    goes = block.has_next & ~block.terminated
    then = np.where(goes[:, None], block.next_state, block.state)
    onward = np.where(goes, block.discounts(setting.discount), 0.0)

    def shares(model: ValueModel, *, states: bool) -> tuple[Floats, Floats]:
        here = model.basis.values(block.state, model.value)
        after = model.basis.values(then, model.value)
        pull = model.basis.values(block.state, model.pull)
        if states:
            now, value, later, pulled = here[:, 0], here[:, 0], after[:, 0], pull[:, 0]
            change = ratios * (block.reward + onward * later) - now
        else:
            value = (chances * here).sum(axis=1)
            later = (setting.policy.probabilities(then) * after).sum(axis=1)
            pulled = pull[rows, block.action]
            change = block.reward + onward * later - here[rows, block.action]
        moved = np.add.reduceat(np.where(use, pulled * change, 0.0), starts)
        return value[starts], np.asarray(value[starts] + moved)

    direct, fitted = shares(setting.fitted.all, states=False)
    marginal = setting.fitted.marginal
    return direct, fitted, zeros if marginal is None else shares(marginal, states=True)[1]


def _bounds(lost: Floats, setting: Setting, discount: float) -> tuple[Floats, Floats]:
    """Return the least and the largest value of what actions may bring that the log never takes."""
    if setting.reward_range is None:
        return np.zeros(len(lost)), np.zeros(len(lost))
    least, most = setting.reward_range
    left = setting.horizon - np.arange(lost.shape[1])
    # Discounts of the rewards after the first one, if the episode goes on to the horizon.
    powers: Any = np.concatenate([[0.0], np.cumsum(discount ** np.arange(1, setting.horizon))])
    further = powers[np.maximum(left, 1) - 1]
    low = least + min(0.0, least) * further
    high = most + max(0.0, most) * further
    return lost @ low, lost @ high
