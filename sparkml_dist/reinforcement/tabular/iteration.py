"""Value, policy and modified policy iteration over a known decision process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.reinforcement.tabular.decision_process import DecisionProcess

__all__ = [
    "Method",
    "Solution",
    "action_values",
    "completed",
    "evaluate",
    "policy_evaluation",
    "solve",
    "unseen_value",
]

Method = Literal["modified", "policy", "value"]
Floats = npt.NDArray[np.float64]

_SWEEPS = 20  # of the evaluation of a policy in modified policy iteration


@dataclass(frozen=True)
class Solution:
    """The values of a process.

    Attributes
    ----------
    q : ndarray of float64, shape (n_states, n_actions)
        NaN where the log never takes the action, unless such actions have a value.
    v : ndarray of float64, shape (n_states,)
    iterations : int
        Sweeps, or policies that were evaluated.
    converged : bool
    """

    q: Floats
    v: Floats
    iterations: int
    converged: bool


def unseen_value(
    known: npt.NDArray[np.bool_], least_reward: float, discount: float, given: float | None
) -> float:
    """Return the value of states that the log never leaves: what is given, or a lower bound.

    The bound is that of earning the least reward for ever. It is pessimistic on purpose: nothing is
    known about such a state, and 0 would take it for the end.

    Raises
    ------
    ConfigurationError
        ``unseen_states``: there are such states, and no bound.
    """
    left = known.any(axis=1)
    if given is not None:
        return given
    if left.all():
        return 0.0
    if discount < 1:
        return least_reward / (1 - discount)
    if least_reward >= 0:
        return 0.0
    raise ConfigurationError(
        "unseen_states",
        f"{int((~left).sum()):,} states are reached, but the log takes no action there, and with "
        "discount=1 their value has no lower bound.",
        "Set unseenValue, or a discount below 1.",
    )


def action_values(
    process: DecisionProcess, *, pessimism: float, unseen: float | None, least: float
) -> Callable[[Floats], Floats]:
    """Return the function from the values of states to those of actions, unseen ones included.

    Parameters
    ----------
    process : DecisionProcess
    pessimism : float
        ``pessimism / sqrt(count)`` is subtracted from each action's value.
    unseen : float or None
        Value of actions that a state's rows never take; None excludes them.
    least : float
        Value of every action in states that the log never leaves.
    """
    return completed(process.values, process.count, pessimism, unseen, least)


def completed(
    values: Callable[[Floats], Floats],
    count: Floats,
    pessimism: float,
    unseen: float | None,
    least: float,
) -> Callable[[Floats], Floats]:
    """Return `values` with penalties for few rows, and with values of what was never seen."""
    known = count > 0
    penalty = pessimism / np.sqrt(np.where(known, count, 1.0))
    stuck = ~known.any(axis=1)
    missing = np.nan if unseen is None else unseen

    def complete(following: Floats) -> Floats:
        q = np.where(known, values(following) - penalty, missing)
        q[stuck] = least
        return q

    return complete


def policy_evaluation(
    process: DecisionProcess, values: Callable[[Floats], Floats], method: Method
) -> Callable[[Floats, Floats], Floats] | None:
    """Return how a policy is evaluated between two improvements: from (q, v) to new values."""
    if method == "value":
        return None
    base = values(np.zeros(len(process.table)))
    rows, n_actions = np.arange(len(base)), base.shape[1]

    def evaluate_greedy(q: Floats, v: Floats) -> Floats:
        best = np.where(np.isnan(q), -np.inf, q).argmax(axis=1)
        follow, reward = process.follow[rows * n_actions + best], base[rows, best]
        if method == "policy":
            return evaluate(follow, reward)
        for _ in range(_SWEEPS):
            v = reward + follow @ v
        return v

    return evaluate_greedy


def solve(
    values: Callable[[Floats], Floats],
    n_states: int,
    modulus: float,
    *,
    between: Callable[[Floats, Floats], Floats] | None = None,
    tol: float,
    max_iter: int,
) -> Solution:
    """Return the values of the best policy.

    Parameters
    ----------
    values : callable
        From values of states (n_states,) to those of actions (n_states, n_actions); NaN for actions
        that cannot be taken.
    n_states : int
    modulus : float
        Largest discounted probability to go on, which bounds the error.
    between : callable, optional
        Evaluates the greedy policy between two sweeps (`policy_evaluation`); none for value
        iteration.
    tol : float
        Largest error of a value, relative to the largest value where that is more than 1.
    max_iter : int
        Largest number of sweeps over all actions.

    Returns
    -------
    Solution

    References
    ----------
    Puterman and Shin (1978), "Modified policy iteration algorithms for discounted Markov decision
    problems", Management Science 24 (11).
    """
    v = np.zeros(n_states)
    # Without discount the change bounds nothing: three digits are left for slow convergence.
    share = tol / 1000 if modulus >= 1 else tol * (1 - modulus) / max(modulus, 1e-300)
    q = values(v)
    for iteration in range(1, max_iter + 1):
        found = np.nanmax(q, axis=1, initial=-np.inf)
        change = float(np.abs(found - v).max(initial=0.0))
        scale = max(1.0, float(np.abs(found).max(initial=0.0)))
        v = found
        # Below a few units of rounding a value cannot settle.
        if change <= max(share * scale, 4 * np.finfo(float).eps * scale):
            return Solution(q, v, iteration, converged=True)
        if iteration < max_iter:
            q = values(v if between is None else between(q, v))
    return Solution(q, v, max_iter, converged=False)


def evaluate(follow: Any, reward: Floats) -> Floats:
    """Return the values of a policy: the solution of v = reward + follow @ v.

    Parameters
    ----------
    follow : csr_matrix, shape (n_states, n_states)
        Discounted probabilities of the next states under the policy.
    reward : ndarray, shape (n_states,)
    """
    from scipy.sparse.linalg import spsolve

    system = sp.identity(len(reward), format="csc") - follow.tocsc()
    return np.atleast_1d(np.asarray(spsolve(system, reward), np.float64))
