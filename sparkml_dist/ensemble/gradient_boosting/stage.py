"""One stage of gradient boosting on one shard: a learner fitted to the loss's negative gradient."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.dataset.block import Block
from sparkml_dist.ensemble.gradient_boosting.loss import LONGEST_STEP, Array, Slope
from sparkml_dist.ensemble.gradient_boosting.plan import GradientPlan
from sparkml_dist.ensemble.gradient_boosting.state import RowScores, refuse_divergence
from sparkml_dist.ensemble.gradient_boosting.validation import StageValidation
from sparkml_dist.learners.fitting import (
    committed_members,
    fit_learner,
    member_traits,
    store_member,
)
from sparkml_dist.members.bag import Bag, Draw
from sparkml_dist.members.sampling import Sampling, member_seed

__all__ = ["VALIDATION", "StageTask", "row_weights"]

#: The index of the task that validates instead of fitting a shard.
VALIDATION = -1
# A task that fits several stages in a row returns its results after this time, so that the driver
# can decide whether to go on.
_SECONDS = 20.0
# Rows of smaller curvature are practically certain.
_LEAST_CURVATURE = 1e-8


@dataclass(frozen=True)
class StageTask:
    """Fits stages inside tasks, one task per shard of the stage.

    A stage of several shards needs all of them before the next can begin. Stages of one shard
    depend on no other task: one task fits many of them.

    Attributes
    ----------
    plan : GradientPlan
    first, last : int
        Stages to fit, without `last`; several only if a stage has one shard. If there are none,
        only the line search of the stage before `first` is done.
    settled : int
        Number of stages whose steps are known: all before `first`, or all but one.
    pending : tuple of dict
        Records of the members of the stage whose steps are not known yet.
    validation : StageValidation or None
        Run by the task with index `VALIDATION`.
    """

    plan: GradientPlan
    first: int
    last: int
    settled: int
    pending: tuple[dict[str, Any], ...]
    validation: StageValidation | None

    def __call__(self, position: int) -> dict[str, Any]:
        """Fit the shard at a position of the stage; return its records."""
        import skops.io  # noqa: F401 - its memory counts as the base, not as the members'

        if position == VALIDATION:
            assert self.validation is not None
            return self.validation()
        if self.first == self.last:
            shard = self.plan.shards_of(self.first)[position]
            return {"search": self._search(self._open(shard, self.settled), self.pending)}
        return {"records": self._fit(position)}

    def _fit(self, position: int) -> list[dict[str, Any]]:
        start = time.perf_counter()
        plan, settled, pending = self.plan, self.settled, self.pending
        done = committed_members(plan.folder) if self.last - self.first > 1 else {}
        records: list[dict[str, Any]] = []
        held: tuple[int, RowScores] | None = None
        for stage in range(self.first, self.last):
            if stage > self.first:
                if time.perf_counter() - start > _SECONDS:
                    break
                # No other task takes part in these stages; the driver computes the same steps.
                if plan.line_search == "stage":
                    if pending:
                        plan.settle(stage - 2, pending, [records[-1]["search"]])
                    settled, pending = stage - 1, (records[-1],)
                else:
                    plan.settle(stage - 1, records[-1:], [])
                    settled, pending = stage, ()
            if record := done.get(plan.member(stage, position)):
                records.append(record)
                continue
            shard = plan.shards_of(stage)[position]
            if held is not None and held[0] != shard:
                held[1].save()
                held = None
            if held is None:
                held = shard, self._open(shard, settled)
            records.append(self._fit_stage(stage, position, held[1], settled, pending))
        if held is not None:
            held[1].save()
        return records

    def _open(self, shard: int, settled: int) -> RowScores:
        dtype = np.dtype(self.plan.traits.dtype)
        block = self.plan.data.read_block(shard, dtype=dtype)
        return RowScores(self.plan, f"shard-{shard:05d}", block, settled)

    def _fit_stage(
        self,
        stage: int,
        position: int,
        scores: RowScores,
        settled: int,
        pending: Sequence[dict[str, Any]],
    ) -> dict[str, Any]:
        """Update the scores, fit the stage's learner to them, and commit it."""
        start = time.perf_counter()
        plan = self.plan
        with PeakMemory() as memory:
            scores.catch_up(settled)
            F, search = scores.F, None
            if pending:
                # The step length of the last stage depends on all its shards. For the gradient, the
                # length found on this shard, a random sample, is good enough; the scores themselves
                # are advanced by the common length.
                search = self._search(scores, pending)
                step = plan.loss.step([search], plan.unit)
                F = F + (plan.learning_rate * step) * scores.next_direction(pending)
                refuse_divergence(F, stage - 1)
            learners, bag, seconds, caught = self._learners(stage, position, scores.block, F)
            block = scores.block
            record = {
                "member": plan.member(stage, position),
                "stage": stage,
                "learner": plan.traits.name,
                "shards": [plan.shards_of(stage)[position]],
                "rows": len(block),
                "bag_rows": bag.rows,
                **member_traits(plan.traits, None),
                "search": search,
                "seconds": round(seconds, 4),
                "task_seconds": round(time.perf_counter() - start, 4),
                "block_bytes": block.nbytes,
                "base_rss": memory.base,
                "peak_rss": memory.so_far(),
                "warnings": caught,
            }
            stem = f"member-{record['member']:05d}"
            return store_member(plan.folder, stem, learners, record, trusted=plan.trusted)

    def _search(self, scores: RowScores, pending: Sequence[dict[str, Any]]) -> list[list[float]]:
        scores.catch_up(self.settled)
        along = scores.next_direction(pending)
        block, w = scores.block, row_weights(self.plan, scores.block)
        return self.plan.loss.search(block.y, scores.F, along, w, self.plan.unit)

    def _learners(
        self, stage: int, position: int, block: Block, F: Array
    ) -> tuple[list[Any], Bag, float, list[str]]:
        """Fit a learner to each output's gradient; return them, their bag, seconds, warnings."""
        plan = self.plan
        w = row_weights(plan, block)
        slope = plan.loss.slope(block.y, F, w)
        # The "labels" of the bag are the positions of its rows.
        rows_of = Block(block.X, np.arange(len(block)), block.weight, block.key)
        sampling = Sampling.of("pasting", plan.max_samples).sized(len(block))
        bag = Bag.of(rows_of, Draw(stage, plan.seed, sampling, plan.without), plan.traits)
        rows = bag.y
        member = plan.member(stage, position)
        learners, seconds, caught = [], 0.0, []
        for k in range(plan.loss.n_outputs):
            seed = member_seed(plan.seed, member * plan.loss.n_outputs + k)
            ready = plan.learner.prepared(seed, plan.cores)
            target, weight = np.ascontiguousarray(slope.gradient[rows, k]), bag.weight
            if plan.line_search == "row" and slope.curvature is not None:
                # A lower bound on the curvature limits the step of each row; step times weight is
                # the gradient in any case.
                least = np.maximum(np.abs(target) / LONGEST_STEP, _LEAST_CURVATURE)
                bend = np.maximum(slope.curvature[rows, k], least)
                target = target / bend
                weight = bend if weight is None else bend * weight
            fitted, took, texts = fit_learner(ready, bag.X, target, weight, plan.traits, bag.key)
            if plan.line_search == "leaf":
                bends = slope.curvature
                own = Slope(slope.gradient[rows, k], None if bends is None else bends[rows, k])
                _step_leaves(plan, fitted, bag, block.y[rows], F[rows, k], own)
            learners.append(fitted)
            seconds += took
            caught += texts
        return learners, bag, seconds, list(dict.fromkeys(caught))


def row_weights(plan: GradientPlan, block: Block) -> Array:
    """Return the weight of each row, 0 for held-out rows, shape (n,)."""
    w = block.row_weights
    return w if plan.without is None else np.where(plan.without.mask(block.key), 0.0, w)


def _step_leaves(
    plan: GradientPlan, fitted: Any, bag: Bag, y: Array, F: Array, slope: Slope
) -> None:
    """Replace the mean in each leaf by the leaf's best step."""
    w = np.ones(len(y)) if bag.weight is None else np.asarray(bag.weight, np.float64)
    tree = fitted.tree_
    leaf = fitted.apply(bag.X)
    values = plan.loss.leaves(leaf, tree.node_count, y, F, slope, w)
    if values is None:
        return
    ends = tree.children_left < 0
    tree.value[ends, 0, 0] = values[ends]
