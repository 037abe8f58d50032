"""Fits the stages of a gradient boosting, one after the other, until it should stop."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sparkml_dist.cluster.tasks import TaskOutcome, run_tasks
from sparkml_dist.ensemble.gradient_boosting.plan import STATE, GradientPlan
from sparkml_dist.ensemble.gradient_boosting.stage import VALIDATION, StageTask, row_weights
from sparkml_dist.ensemble.gradient_boosting.validation import StageValidation
from sparkml_dist.errors import DataError, TrainingError
from sparkml_dist.learners.fitting import committed_members
from sparkml_dist.metrics.scores import is_better

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["GradientRun", "StageStopping"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageStopping:
    """When to stop adding stages.

    Attributes
    ----------
    metric : str
        One of `sparkml_dist.metrics.scores`.
    tol : float
        Smallest improvement that counts, in the metric's unit.
    patience : int
        Stages without such an improvement before the fit stops.
    shards : tuple of int
        Shards whose held-out rows are scored.
    """

    metric: str
    tol: float
    patience: int
    shards: tuple[int, ...]


class GradientRun:
    """One run over the stages.

    A stage is one Spark job. Its tasks update the scores of their shards, do the line search of the
    previous stage, and fit their learners. What an earlier run committed is used without change.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    plan : GradientPlan
        Without ``initial`` and ``unit``, which the run computes.
    n_stages : int
        Largest number of stages.
    stopping : StageStopping or None

    Attributes
    ----------
    plan : GradientPlan
        With ``initial`` and ``unit``.
    records : list of list of dict
        Records of the members, by stage and then by shard.
    settled : list of dict
        Stages whose step lengths are known.
    scores : list of float
        Scores of the first 1, 2, … stages.
    validation_rows, fitted : int
        Rows scored; members fitted, rather than found committed.
    """

    def __init__(
        self,
        spark: SparkSession,
        plan: GradientPlan,
        n_stages: int,
        stopping: StageStopping | None,
    ) -> None:
        self._spark = spark
        self._n_stages = n_stages
        self._stopping = stopping
        self._done = committed_members(plan.folder)
        self.records: list[list[dict[str, Any]]] = []
        self.settled: list[dict[str, Any]] = []
        self.scores: list[float] = []
        self.validation_rows = self.fitted = 0
        self.plan = self._begin(plan)

    def run(self) -> int:
        """Fit the stages; return how many of them the model keeps."""
        while len(self.records) < self._n_stages and not self._should_stop():
            stage = len(self.records)
            for records in self._fit(stage):
                self.records.append(records)
                self._settle([r["search"] for r in records])
        if not self._should_stop():
            self._close()
        self.plan.folder.child(STATE).delete()
        if self._stopping is None:
            return len(self.settled)
        return self.best() + 1

    def best(self) -> int:
        """Return the stage with the best score."""
        assert self._stopping is not None
        best = 0
        for i, score in enumerate(self.scores):
            if math.isnan(self.scores[best]) or is_better(
                self._stopping.metric, score, self.scores[best]
            ):
                best = i
        return best

    # -- steps ----------------------------------------------------------------------------

    def _begin(self, plan: GradientPlan) -> GradientPlan:
        shards = range(len(plan.data.shards))
        outcomes = run_tasks(self._spark, shards, _Moments(plan), description="start boosting")
        _raise_first(outcomes, "before the first stage", list(shards))
        moments = [o.result["moments"] for o in outcomes if o.result["moments"]]
        if not moments:
            raise DataError(
                "no_training_rows",
                "No row with a positive weight is left to learn from.",
                "Lower validationFraction, or check the weights.",
            )
        initial, unit = plan.loss.start(moments)
        return replace(plan, initial=tuple(initial.tolist()), unit=unit)

    def _fit(self, stage: int) -> list[list[dict[str, Any]]]:
        """Return the records of a stage, and of later stages that the same task fitted."""
        plan = self.plan
        found = [self._done.get(plan.member(stage, p)) for p in range(plan.width)]
        missing = [p for p, record in enumerate(found) if record is None]
        if not missing:
            return [[record for record in found if record is not None]]
        last = self._n_stages if plan.width == 1 else stage + 1
        results = self._job(stage, last, missing)
        fitted = [r["records"] for r in results]
        self.fitted += sum(map(len, fitted))
        if plan.width == 1:
            return [[record] for record in fitted[0]]
        for p, records in zip(missing, fitted, strict=True):
            found[p] = records[0]
        return [[record for record in found if record is not None]]

    def _job(self, stage: int, last: int, positions: Sequence[int]) -> list[dict[str, Any]]:
        """Run the tasks of a stage, and its validation if there are stages to score."""
        pending = self.records[-1] if len(self.settled) < len(self.records) else []
        validation = self._validation()
        task = StageTask(self.plan, stage, last, len(self.settled), tuple(pending), validation)
        indices = [*positions, *([VALIDATION] if validation else [])]
        what = f"fit stage {stage}" if last > stage else "search the last step"
        outcomes = run_tasks(self._spark, indices, task, description=what)
        _raise_first(outcomes, f"in stage {stage}", list(self.plan.shards_of(stage)))
        if validation:
            self._add_scores(outcomes.pop().result)
        return [o.result for o in outcomes]

    def _settle(self, searches: list[Any]) -> None:
        """Settle all stages that can be, using the line searches in the newest records."""
        searched = self.plan.line_search == "stage"
        while len(self.settled) < len(self.records) - searched:
            stage = len(self.settled)
            self.settled.append(self.plan.settle(stage, self.records[stage], searches))

    def _close(self) -> None:
        """Settle the last stage, and score the stages without a score."""
        stage = len(self.records)
        if len(self.settled) < stage:
            results = self._job(stage, stage, range(self.plan.width))
            searches = [r["search"] for r in results]
            self.settled.append(self.plan.settle(stage - 1, self.records[-1], searches))
        if self._validation() and not self._should_stop():
            self._job(stage, stage, [])

    def _validation(self) -> StageValidation | None:
        if self._stopping is None or len(self.scores) == len(self.settled):
            return None
        return StageValidation(
            self.plan,
            self._stopping.metric,
            self._stopping.shards,
            len(self.scores),
            len(self.settled),
        )

    def _add_scores(self, result: dict[str, Any]) -> None:
        assert self._stopping is not None
        self.validation_rows = result["rows"]
        for score in result["scores"]:
            if self._should_stop():
                break
            self.scores.append(score)
            _logger.info("%d stages: %s %.5f", len(self.scores), self._stopping.metric, score)

    def _should_stop(self) -> bool:
        """Return whether `patience` stages in a row did not improve the score."""
        if self._stopping is None:
            return False
        best, idle = math.nan, 0
        for score in self.scores:
            if math.isnan(best) or is_better(
                self._stopping.metric, score, best, self._stopping.tol
            ):
                best, idle = score, 0
            else:
                idle += 1
        return idle >= self._stopping.patience


@dataclass(frozen=True)
class _Moments:
    """Computes a shard's contribution to the initial scores."""

    plan: GradientPlan

    def __call__(self, shard: int) -> dict[str, Any]:
        block = self.plan.data.read_block(shard, features=[])
        w = row_weights(self.plan, block)
        return {"moments": self.plan.loss.moments(block.y, w) if w.any() else None}


def _raise_first(outcomes: Sequence[TaskOutcome], when: str, shards: Sequence[int]) -> None:
    """Raise the first error, naming the shard that it came from."""
    for outcome in outcomes:
        if outcome.error is None:
            continue
        error = outcome.error
        _logger.error("%s\n%s", error.message, getattr(error, "trace", ""))
        where = "validation" if outcome.index == VALIDATION else f"shard {shards[outcome.index]}"
        message = f"{where}, {when}: {error.message}"
        if error.code != "task_failed":
            raise type(error)(error.code, message, error.hint)
        raise TrainingError(
            "member_failed",
            message,
            error.hint
            or "Earlier stages are committed: with modelDir and resume=True the fit goes on.",
        )
