"""The raw scores of a shard's rows, stored beside the model during boosting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparkml_dist.dataset.block import Block
from sparkml_dist.ensemble.gradient_boosting.loss import Array
from sparkml_dist.ensemble.gradient_boosting.plan import STATE, GradientPlan
from sparkml_dist.ensemble.gradient_boosting.scorer import advance
from sparkml_dist.errors import TrainingError
from sparkml_dist.persistence.arrays import read_array, write_array

__all__ = ["RowScores", "refuse_divergence"]


class RowScores:
    """Scores of rows after some stages, updated on demand.

    Scores are a function of the stages, added in order: stored scores, and scores recomputed
    because the files are missing, are equal to the bit.

    Parameters
    ----------
    plan : GradientPlan
    name : str
        Identifies the rows.
    block : Block
    at_most : int
        Largest number of stages that stored scores may include.

    Attributes
    ----------
    F : ndarray of shape (n, n_outputs)
    stages : int
        Number of stages that F includes.
    """

    def __init__(self, plan: GradientPlan, name: str, block: Block, at_most: int) -> None:
        self.block = block
        self._plan = plan
        self._home = plan.folder.child(STATE).child(name)
        # The direction of stage `stages`, if it is known before the length of its step.
        self._ahead: Array | None = None
        self.F, self.stages = np.tile(plan.initial, (len(block), 1)), 0
        kept = [s for s in map(_stages, self._home.names(".npy")) if s <= at_most]
        if kept:
            self.stages = max(kept)
            found = read_array(self._home, _name(self.stages), rows=len(block))
            width = plan.loss.n_outputs
            self.F = np.ascontiguousarray(found[:, :width])
            self._ahead = np.ascontiguousarray(found[:, width:]) if found.shape[1] > width else None

    def catch_up(self, settled: int) -> None:
        """Add the stages up to number `settled`, whose steps are all known.

        Raises
        ------
        TrainingError
            ``diverged`` if scores are no longer finite.
        """
        while self.stages < settled:
            record = self._plan.settled(self.stages)
            along = self.next_direction(record["members"])
            advance(self.F, along, record["steps"], self._plan.learning_rate)
            self._ahead = None
            self.stages += 1
            refuse_divergence(self.F, self.stages - 1)

    def next_direction(self, members: Sequence[dict[str, Any]]) -> Array:
        """Return the direction of the next stage, which consists of `members`, (n, n_outputs)."""
        if self._ahead is None:
            self._ahead = self._plan.direction(members, self.block.X)
        return self._ahead

    def save(self) -> None:
        """Store the scores for the next task that needs them, and delete older ones."""
        columns = [self.F] if self._ahead is None else [self.F, self._ahead]
        write_array(self._home, _name(self.stages), np.hstack(columns))
        for name in self._home.names(".npy"):
            if _stages(name) < self.stages:
                self._home.delete_file(name)


def refuse_divergence(F: Array, stage: int) -> None:
    """Raise if scores are no longer finite.

    Raises
    ------
    TrainingError
        ``diverged``.
    """
    if not np.isfinite(F).all():
        raise TrainingError(
            "diverged",
            f"After stage {stage} the scores of some rows are no longer finite.",
            "Lower learningRate, or use a learner whose predictions stay within bounds.",
        )


def _name(stages: int) -> str:
    return f"after-{stages:05d}.npy"


def _stages(name: str) -> int:
    return int(name.removeprefix("after-").removesuffix(".npy"))
