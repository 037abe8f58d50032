"""One iteration of fitted Q iteration: tasks compute targets and fit regressors to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.hashing import uniform
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.learners.fitting import fit_learner, member_traits, store_member
from sparkml_dist.learners.known_learner import KnownLearner
from sparkml_dist.members.sampling import member_seed
from sparkml_dist.models.scoring import drop_loaded
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.reinforcement.action_values import ActionValues, LoadedValues, with_actions
from sparkml_dist.reinforcement.transition_block import TransitionBlock
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset

__all__ = ["IterationTask", "best_of", "best_values"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class IterationTask:
    """Fits the regressors of one iteration, each on a shard, inside tasks.

    The regressor of a shard learns the targets reward + discount · (value of the next state's best
    action), with values by the regressors of the iteration before.

    Attributes
    ----------
    data : TransitionDataset
    folder : Folder
        The iteration's; gets ``members/`` and a note of each task.
    learner : KnownLearner
        Its features are the state and, unless `per_action`, an indicator of each action.
    before : ActionValues or None
        The regressors of the iteration before; None at first, when the targets are the rewards.
    discount : float
        Of rows without their own.
    per_action : bool
        Whether each action has a regressor of its own.
    halves : int
        2 for double Q-learning: each half of the episodes has regressors of its own.
    held_out : Validation or None
        Episodes that are not learnt from; the Bellman residual is taken there.
    iteration, seed, cores : int
    trusted : tuple of str
    advantage : float
        Share of the distance between a row's action and the best one that is subtracted.
    """

    data: TransitionDataset
    folder: Folder
    learner: KnownLearner
    before: ActionValues | None
    discount: float
    per_action: bool
    halves: int
    held_out: Validation | None
    iteration: int
    seed: int
    cores: int
    trusted: tuple[str, ...] = ()
    advantage: float = 0.0

    @property
    def tasks(self) -> int:
        """Number of tasks."""
        return len(self.data.shards) * self.halves

    def note(self, index: int) -> str:
        """Return the name of a task's note, which commits its work."""
        return f"task-{index:05d}.json"

    def __call__(self, index: int) -> dict[str, Any]:
        """Fit and commit the regressors of a task, unless they are committed.

        Returns
        -------
        dict
            ``members`` (records), ``rows``, and ``residual``: weight of the held-out rows, sum of
            squared Bellman residuals there, sum of squared targets.
        """
        name = self.note(index)
        if self.folder.exists(name):
            done: dict[str, Any] = self.folder.read_json(name)
            return done
        drop_loaded()
        shard, half = divmod(index, self.halves)
        block = self.data.read(shard)
        block = block.take(block.usable)
        held_out = np.zeros(len(block), bool)
        if self.held_out is not None:
            held_out = self.held_out.mask(block.episode)
        values = None if self.before is None else self.before.load()
        note: dict[str, Any] = {"residual": [0.0, 0.0, 0.0]}
        if values is not None and half == 0 and held_out.any():
            note["residual"] = self._residual(block.take(held_out), values)
        chosen = ~held_out
        if self.halves == 2:
            chosen &= (uniform(block.episode, self.seed, "double") < 0.5) == (half == 0)
        own = block.take(chosen & (block.weights() > 0))
        note |= {"rows": len(own), "members": self._fit(index, half, own, values)}
        self.folder.write_json(name, note)
        return note

    def _residual(self, block: TransitionBlock, values: LoadedValues) -> list[float]:
        known = values.q_values(block.state)
        goal = self._targets(block, values, None, known)
        own = known[np.arange(len(block)), block.action]
        fits = np.isfinite(goal) & np.isfinite(own)
        weight = block.weights() * fits
        squares = np.square(np.where(fits, goal - own, 0.0))
        goals = np.square(np.where(fits, goal, 0.0))
        return [float(weight.sum()), float(weight @ squares), float(weight @ goals)]

    def _targets(
        self,
        block: TransitionBlock,
        values: LoadedValues | None,
        half: int | None,
        known: Floats | None = None,
    ) -> Floats:
        """Return the target of each row; `known` are the values of its state, if at hand."""
        goal = block.reward.copy()
        if values is None:
            return goal
        if self.advantage:
            known = values.q_values(block.state) if known is None else known
            own = known[np.arange(len(block)), block.action]
            lead = best_of(known, known, block.available) - own
            goal -= self.advantage * np.where(np.isfinite(lead), lead, 0.0)
        rows = ~block.terminated
        if not rows.any():
            return goal
        if half is None and known is not None:
            judged = _values_after(block, values, known)[rows]
            available = None if block.next_available is None else block.next_available[rows]
            follows = best_of(judged, judged, available)
        else:
            after = block.take(rows)
            follows = best_values(values, after.next_state, after.next_available, half)
        goal[rows] += block.discounts(self.discount)[rows] * follows
        return goal

    def _fit(
        self, index: int, half: int, block: TransitionBlock, values: LoadedValues | None
    ) -> list[dict[str, Any]]:
        if not len(block):
            return []
        goal = self._targets(block, values, half if self.halves == 2 else None)
        del values
        traits = self.learner.traits
        n_actions, dtype = self.data.schema.n_actions, np.dtype(traits.dtype)
        weight = None if block.weight is None else block.weights()
        groups: list[tuple[int | None, Any]] = [(None, slice(None))]
        if self.per_action:
            found = np.unique(block.action).tolist()
            groups = [(code, block.action == code) for code in found]
        records = []
        for code, rows in groups:
            states = block.state[rows]
            X = states if code is not None else with_actions(states, block.action, n_actions)
            number = index * (n_actions if self.per_action else 1) + (code or 0)
            # Digits of the iteration's number, so that each draws its own trees.
            seed = member_seed(self.seed, self.iteration * 1_000_003 + number)
            fitted, seconds, caught = fit_learner(
                self.learner.prepared(seed, self.cores),
                np.ascontiguousarray(X, dtype),
                goal[rows],
                None if weight is None else weight[rows],
                traits,
                block.episode[rows],
            )
            record = {
                "member": number,
                "half": half,
                "action": code,
                "shard": index // self.halves,
                "rows": len(X),
                "seconds": round(seconds, 4),
                "warnings": caught,
                **member_traits(traits, None),
            }
            stem = f"member-{number:05d}"
            records.append(store_member(self.folder, stem, fitted, record, trusted=self.trusted))
        return records


def best_values(
    values: LoadedValues,
    states: Floats,
    available: npt.NDArray[np.bool_] | None,
    half: int | None = None,
) -> Floats:
    """Return the value of the best action in each state, shape (n,).

    Parameters
    ----------
    values : LoadedValues
    states : ndarray of shape (n, n_state)
    available : ndarray of bool, shape (n, n_actions), or None
        The actions that can be taken; an action of no known value is never taken.
    half : int, optional
        With double Q-learning [1]_ the half that chooses the action; the other one values it.

    References
    ----------
    .. [1] van Hasselt (2010), "Double Q-learning", NeurIPS.
    """
    judged = values.q_values(states, half)
    valued = judged if half is None else values.q_values(states, 1 - half)
    return best_of(judged, valued, available)


def best_of(judged: Floats, valued: Floats, available: npt.NDArray[np.bool_] | None) -> Floats:
    """Return the value of the action that is judged best, shape (n,); 0 where none is known.

    Parameters
    ----------
    judged, valued : ndarray of shape (n, n_actions)
        Values that choose the action, and those that are returned of it; NaN where not known.
    available : ndarray of bool, shape (n, n_actions), or None
        The actions that can be taken.
    """
    possible = ~np.isnan(judged)
    if available is not None:
        possible &= available
    best = np.where(possible, judged, -np.inf).argmax(axis=1)
    found = valued[np.arange(len(judged)), best]
    return np.where(possible.any(axis=1) & ~np.isnan(found), found, 0.0)


def _values_after(block: TransitionBlock, values: LoadedValues, known: Floats) -> Floats:
    """Return the values of the next states, shape (n, n_actions), from those of the states.

    Most next states are the states of the next rows, and need no prediction.
    """
    found = np.zeros_like(known)
    repeats = np.append((block.next_state[:-1] == block.state[1:]).all(axis=1), False)
    at = np.flatnonzero(repeats)
    found[at] = known[at + 1]
    rest = ~repeats & ~block.terminated
    if rest.any():
        found[rest] = values.q_values(block.next_state[rest])
    return found
