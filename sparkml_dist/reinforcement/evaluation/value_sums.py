"""Values of a policy from sums over a log: fitted Q evaluation and marginalized weighting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.exact import FLOAT32_RANGE
from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.dataset.hashing import uniform
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.reinforcement.evaluation.log_sums import LogSums
from sparkml_dist.reinforcement.evaluation.policy_columns import PolicyColumns
from sparkml_dist.reinforcement.evaluation.state_basis import ListedStates, StateFeatures
from sparkml_dist.reinforcement.flat_rows import flat_rows
from sparkml_dist.reinforcement.transition_block import TransitionBlock

__all__ = ["FittedValues", "ValueModel", "fit_values", "folds_of"]

Floats = npt.NDArray[np.float64]

_MOST_BYTES = 1 << 28
_EXACT = FLOAT32_RANGE
_SAME = 1e-9
# Rows with an action that show that its probability is the same each time.
_ENOUGH = 10


@dataclass(frozen=True)
class ValueModel:
    """Values of a policy as linear combinations of the functions of a basis.

    Attributes
    ----------
    basis : ListedStates or StateFeatures
    value : ndarray, shape (width, n_actions)
        Coefficients of the value of each action; shape (width, 1) where they are of states.
    pull : ndarray, of the same shape
        Coefficients of how much the estimate moves with the temporal difference of a row: the
        ratio of visits by the policy to visits in the log.
    unseen : float, default=0
        Share of the policy's actions which the log never takes in the same state; they get the
        value 0.
    """

    basis: Any
    value: Floats
    pull: Floats
    unseen: float = 0.0


@dataclass(frozen=True)
class FittedValues:
    """Values that were fitted on a log.

    Attributes
    ----------
    all : ValueModel
        Of all episodes.
    without : tuple of ValueModel
        By fold: of the episodes in other folds.
    marginal : ValueModel or None
        Values of states from weighted transitions (Xie et al. 2019); None where not asked for.
    """

    all: ValueModel
    without: tuple[ValueModel, ...]
    marginal: ValueModel | None


def folds_of(block: TransitionBlock, folds: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the fold of each row, a function of its episode."""
    return (uniform(block.episode, seed, "evaluation fold") * folds).astype(np.int64)


def fit_values(
    log: LogSums,
    policy: PolicyColumns,
    basis: ListedStates | StateFeatures,
    discount: float,
    *,
    folds: int,
    seed: int,
    marginal: bool,
) -> FittedValues:
    """Fit the values of a policy by one pass over a log.

    Fitted Q evaluation with a linear model, iterated to its fixed point: the least squares of
    temporal differences. With a list of states it is the value of the policy in the process
    whose transitions and rewards are the averages of the log.

    Parameters
    ----------
    log : LogSums
    policy : PolicyColumns
    basis : ListedStates or StateFeatures
    discount : float
        Used where the log has no discounts.
    folds, seed : int
        Episodes are in folds by a hash.
    marginal : bool
        Whether values of states from weighted transitions are fitted, too.

    Raises
    ------
    ConfigurationError
        ``invalid_param`` where the sums would take too much memory, or the values are infinite;
        ``conflicting_params`` where marginalized weighting has no list of states.
    DataError
        ``probability_range`` where logged probabilities in a state sum to more than 1.

    References
    ----------
    Lagoudakis, Parr (2003), "Least-squares policy iteration", JMLR 4. Le, Voloshin, Yue (2019),
    "Batch policy learning under constraints". Xie, Ma, Wang (2019), "Towards optimal off-policy
    evaluation for reinforcement learning with marginalized importance sampling".
    """
    n_actions, width = len(policy.actions), basis.width
    listed = isinstance(basis, ListedStates)
    cells = width * width * n_actions * folds * (1 if listed else n_actions)
    if cells * 8 * _EXACT.limbs > _MOST_BYTES:
        raise ConfigurationError(
            "invalid_param",
            f"Fitted Q evaluation would add up {cells:,} numbers ({width:,} functions of the "
            "state, "
            f"{n_actions:,} actions, {folds} folds).",
            "Pass q, the values of a policy that was learnt, or another basis.",
        )
    if marginal and not listed:
        raise ConfigurationError(
            "conflicting_params",
            "Marginalized weighting ('mis') needs a list of states.",
            "Pass basis='states' if there are few different states, or leave 'mis' out.",
        )
    function = _listed_sums if listed else _feature_sums
    sums = log.add(
        function, policy, basis, discount, folds, seed, marginal, description="fitted values"
    )
    total: Any = {name: _EXACT.rounded(value) for name, value in sums.items()}
    solve: Any
    if isinstance(basis, ListedStates):
        _check_propensities(total["cells"], n_actions, folds)
        solve = _SolveListed(basis, policy.probabilities(basis.states))
    else:
        solve = _SolveFeatures(basis, n_actions)
    try:
        return FittedValues(
            solve(total, slice(None)),
            tuple(solve(total, [k for k in range(folds) if k != f]) for f in range(folds))
            if folds > 1
            else (solve(total, slice(None)),),
            _marginal(basis, total) if marginal and isinstance(basis, ListedStates) else None,
        )
    except np.linalg.LinAlgError as error:
        raise ConfigurationError(
            "invalid_param",
            f"The values of the policy are not finite at a discount of {discount:g}.",
            "Use a discount below 1, or mark the rows with which episodes end as terminated.",
        ) from error


def _listed_sums(
    blocks: Iterator[TransitionBlock],
    policy: PolicyColumns,
    basis: ListedStates,
    discount: float,
    folds: int,
    seed: int,
    marginal: bool,
) -> Summands:
    size, acts = basis.width, len(policy.actions)
    found: Arrays = {
        "cells": np.zeros((folds * size * acts, 5, _EXACT.limbs), np.int64),
        "moves": np.zeros((folds * size * acts * size, 1, _EXACT.limbs), np.int64),
        "first": np.zeros((size, 1, _EXACT.limbs), np.int64),
    }
    if marginal:
        found["weighted"] = np.zeros((size, 2, _EXACT.limbs), np.int64)
        found["weighted_moves"] = np.zeros((size * size, 1, _EXACT.limbs), np.int64)
    for block in blocks:
        g, state = block.weights(), _index(basis, block.state)
        found["first"] += _EXACT.total(g[block.first, None], state[block.first], size)
        use = block.usable
        cell = (folds_of(block, folds, seed) * size + state) * acts + block.action
        p = np.zeros(len(block)) if block.behavior_prob is None else block.behavior_prob
        values = np.stack([g, g * block.reward, g * p, g * p * p, np.sign(g)], axis=1)
        found["cells"] += _EXACT.total(values[use], cell[use], folds * size * acts)
        goes = block.has_next & ~block.terminated
        following = _index(basis, block.next_state[goes])
        onward = (g * block.discounts(discount))[goes]
        found["moves"] += _EXACT.total(
            onward[:, None], cell[goes] * size + following, folds * size * acts * size
        )
        if marginal:
            _, ratio = policy.ratios(block)
            pair = np.stack([g, g * ratio * block.reward], axis=1)
            found["weighted"] += _EXACT.total(pair[use], state[use], size)
            found["weighted_moves"] += _EXACT.total(
                (onward * ratio[goes])[:, None], state[goes] * size + following, size * size
            )
    return found


def _feature_sums(
    blocks: Iterator[TransitionBlock],
    policy: PolicyColumns,
    basis: StateFeatures,
    discount: float,
    folds: int,
    seed: int,
    marginal: bool,  # noqa: ARG001 - both kinds of states have one signature
) -> Summands:
    p, acts = basis.width, len(policy.actions)
    found: Arrays = {
        "gram": np.zeros((folds * acts, p * (p + 1), _EXACT.limbs), np.int64),
        "moves": np.zeros((folds * acts, p * acts * p, _EXACT.limbs), np.int64),
        "first": np.zeros((acts * p + 1, _EXACT.limbs), np.int64),
    }
    for whole in blocks:
        first = whole.take(whole.first)
        x, g = basis.functions(first.state), first.weights()
        starts = flat_rows(policy.probabilities(first.state)[:, :, None] * x[:, None])
        found["first"] += _EXACT.total(g[:, None] * np.hstack([starts, np.ones((len(x), 1))]))
        block = whole.take(whole.usable)
        x, g = basis.functions(block.state), block.weights()
        group = folds_of(block, folds, seed) * acts + block.action
        right = np.hstack([x, block.reward[:, None]])
        outer = flat_rows(g[:, None, None] * x[:, :, None] * right[:, None])
        found["gram"] += _EXACT.total(outer, group, folds * acts)
        goes = block.has_next & ~block.terminated
        x, onward = x[goes], (g * block.discounts(discount))[goes]
        following = block.next_state[goes]
        chances = policy.probabilities(following)
        then = flat_rows(chances[:, :, None] * basis.functions(following)[:, None])
        outer = flat_rows(onward[:, None, None] * x[:, :, None] * then[:, None])
        found["moves"] += _EXACT.total(outer, group[goes], folds * acts)
    return found


def _index(basis: ListedStates, states: Floats) -> npt.NDArray[np.int64]:
    at = basis.index(states)
    if (at < 0).any():
        raise DataError(
            "state_not_listed",
            f"The state {states[np.argmin(at)].tolist()} is not in the list of states.",
            "Pass all states of the log, or let them be listed.",
        )
    return at


@dataclass(frozen=True)
class _SolveListed:
    basis: ListedStates
    chances: Floats

    def __call__(self, total: Arrays, folds: Any) -> ValueModel:
        size, acts = self.chances.shape
        cells = total["cells"].reshape(-1, size, acts, 5)[folds].sum(axis=0)
        moves = total["moves"].reshape(-1, size, acts, size)[folds].sum(axis=0)
        visits = cells[:, :, 0]
        known = visits > 0
        per = np.divide(1.0, visits, out=np.zeros((size, acts)), where=known)
        reward, onward = cells[:, :, 1] * per, moves * per[:, :, None]
        taken = np.where(known, self.chances, 0.0)
        step = np.einsum("sa,sat->st", taken, onward)
        values = _solve(np.eye(size) - step, (taken * reward).sum(axis=1))
        first = total["first"].ravel()
        occupied = _solve((np.eye(size) - step).T, first)
        lost = occupied @ np.where(known, 0.0, self.chances).sum(axis=1)
        return ValueModel(
            self.basis,
            np.where(known, reward + onward @ values, 0.0),
            occupied[:, None] * taken * per,
            float(lost / occupied.sum()),
        )


@dataclass(frozen=True)
class _SolveFeatures:
    basis: StateFeatures
    n_actions: int

    def __call__(self, total: Arrays, folds: Any) -> ValueModel:
        p, acts = self.basis.width, self.n_actions
        gram = total["gram"].reshape(-1, acts, p, p + 1)[folds].sum(axis=0)
        moves = total["moves"].reshape(-1, acts, p, acts, p)[folds].sum(axis=0)
        left = -moves
        for a in range(acts):
            left[a, :, a] += gram[a, :, :p]
        left = left.reshape(acts * p, acts * p)
        # The least norm among solutions: actions that are never taken have the value 0.
        inverse = np.linalg.pinv(left, rcond=1e-12)
        value = inverse @ gram[:, :, p].ravel()
        pull = inverse.T @ total["first"][: acts * p]
        return ValueModel(self.basis, value.reshape(acts, p).T, pull.reshape(acts, p).T)


def _marginal(basis: ListedStates, total: Arrays) -> ValueModel:
    size = basis.width
    visits, rewards = total["weighted"].T
    per = np.divide(1.0, visits, out=np.zeros(size), where=visits > 0)
    step = total["weighted_moves"].reshape(size, size) * per[:, None]
    values = _solve(np.eye(size) - step, rewards * per)
    occupied = _solve((np.eye(size) - step).T, total["first"].ravel())
    return ValueModel(basis, values[:, None], (occupied * per)[:, None])


def _solve(left: Floats, right: Floats) -> Floats:
    found = np.asarray(np.linalg.solve(left, right), float)
    # acts process that never ends has infinite values, which rounding may hide.
    if not np.isfinite(found).all() or np.abs(found).max(initial=0.0) > 1e12 * max(
        1.0, float(np.abs(right).max(initial=0.0))
    ):
        raise np.linalg.LinAlgError("the values are infinite")
    return found


def _check_propensities(cells: Floats, n_actions: int, folds: int) -> None:
    """Raise where probabilities that never change within a state sum to more than 1.

    Those of a behavior that changes may: what was taken was likely each time. Few rows of an action
    do not show whether its probability changes.
    """
    n, _, p, square, rows = cells.reshape(folds, -1, 5).sum(axis=0).T
    per = np.divide(1.0, n, out=np.zeros(len(n)), where=n > 0)
    mean = p * per
    constant = (square * per - mean**2 < _SAME) & ((rows == 0) | (rows >= _ENOUGH))
    by_state = np.where(constant.reshape(-1, n_actions).all(axis=1), 1.0, 0.0)
    total = by_state * mean.reshape(-1, n_actions).sum(axis=1)
    if total.max() > 1 + 1e-6:
        raise DataError(
            "probability_range",
            f"The logged probabilities of the actions in a state sum to {total.max():g}.",
            "Each row holds the probability with which its own action was taken: at most 1 in sum.",
        )
