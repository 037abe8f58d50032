"""Runs the trials of scikit-learn learners: tasks that fit members on shards."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.learners.going_on import can_go_on
from sparkml_dist.search.engine import Engine
from sparkml_dist.search.sequencer import Job
from sparkml_dist.search.trial_learners import TrialLearners, voting_of
from sparkml_dist.search.trial_piece import TrialPiece
from sparkml_dist.search.trial_task import TrialTask

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["LearnerRunner"]

_SUMMED = ("seconds", "predict_seconds", "bytes", "rows")
# Of all members that a trial has; the others are of one rung's.
_ADDED = ("predict_seconds", "bytes", "rows")


@dataclass
class LearnerRunner:
    """See `sparkml_dist.search.engine.Runner`.

    Attributes
    ----------
    spark : pyspark.sql.SparkSession
    task : TrialTask
        Without batches.
    learners : TrialLearners
    resource : str
        ``"shards"``, ``"rows"``, or the name of a parameter.
    rows : int
        Rows of the shards that a member learns from, where the resource is rows.
    stores : bool
        Whether all members are kept.
    """

    spark: SparkSession
    task: TrialTask
    learners: TrialLearners
    resource: str
    rows: int
    stores: bool

    def slots(self, job: Job) -> int:
        """Return how many task slots a job holds."""
        return 1

    def batches(self, job: Job) -> bool:
        """Tell whether a task may run it together with others."""
        return True

    def units(self, job: Job, before: dict[str, Any] | None) -> int:
        """Return how many members a job fits."""
        return len(self._members(job, before))

    def pieces(self, job: Job, before: dict[str, Any] | None, spread: int) -> list[TrialPiece]:
        """Return the pieces of a job."""
        run, setting = job.run, job.setting
        params: Mapping[str, Any] = setting.params
        known = self.learners.of(setting.estimator, params)
        members = self._members(job, before)
        settings: dict[str, Any] = {
            k: v for k, v in params.items() if k.rpartition("__")[2] == "random_state"
        }
        share, grows = 1.0, False
        if self.resource == "rows":
            share = min(1.0, run.resource / self.rows)
        elif self.resource != "shards":
            settings[self.resource] = run.resource
            grows = can_go_on(known, self.resource)
        piece = TrialPiece(
            run.trial,
            run.rung,
            run.resource,
            known,
            voting_of(known.traits),
            tuple(members),
            tuple(range(members.start)),
            share,
            settings=settings,
            stores=self.stores or grows,
            previous=tuple(m["file"] for m in before["members"]) if before and grows else (),
            grown=(self.resource, before["resource"]) if before and grows else None,
            spent={k: before[k] for k in _ADDED} if before and members.start else {},
        )
        if spread < 2 or len(members) < 2:
            return [piece]
        count = min(spread, len(members))
        bounds = [members.start + round(i * len(members) / count) for i in range(count + 1)]
        return [
            replace(piece, members=tuple(range(a, b)), earlier=(), scores=False, spent={})
            for a, b in itertools.pairwise(bounds)
        ]

    def rest(
        self, job: Job, before: dict[str, Any] | None, records: Sequence[dict[str, Any]]
    ) -> TrialPiece:
        """Return the piece that scores a job whose members are fitted."""
        (whole,) = self.pieces(job, before, 1)
        spent: dict[str, Any] = {
            k: whole.spent.get(k, 0) + sum(r[k] for r in records) for k in _SUMMED
        }
        spent["fits"] = sum(r["fits"] for r in records)
        spent["peak_rss_mb"] = max(r["peak_rss_mb"] for r in records)
        spent["warnings"] = list(dict.fromkeys(w for r in records for w in r["warnings"]))[:3]
        spent["members"] = sorted(
            (m for r in records for m in r["members"]), key=lambda m: (m["member"], m["part"])
        )
        return replace(whole, members=(), earlier=(*whole.earlier, *whole.members), spent=spent)

    def run(self, pieces: Sequence[TrialPiece], seconds: float | None) -> list[dict[str, Any]]:
        """Run pieces in one task; return their records."""
        limits = replace(self.task.limits, total_seconds=seconds)
        task = replace(self.task, batches=(tuple(pieces),), limits=limits)
        first = pieces[0]
        several = f" and {len(pieces) - 1} more" if len(pieces) > 1 else ""
        (outcome,) = run_tasks(
            self.spark,
            [0],
            task,
            description=f"trial {first.trial}, rung {first.rung}{several}",
        )
        if outcome.error is not None:
            raise outcome.error
        records: list[dict[str, Any]] = outcome.result["records"]
        return records

    def voters(self, engine: Engine, ranked: Sequence[int]) -> tuple[list[int], str]:
        """Return those of ranked trials that vote as the best does, and how that is."""
        ways = {
            job.run.trial: voting_of(
                self.learners.of(job.setting.estimator, job.setting.params).traits
            )
            for key, job in engine.jobs.items()
            if engine.records[key]["state"] == "done"
        }
        voting = ways[ranked[0]]
        return [t for t in ranked if ways[t] == voting], voting

    def _members(self, job: Job, before: dict[str, Any] | None) -> range:
        """Return the members that a job adds to its trial."""
        if self.resource != "shards":
            return range(1)
        return range(before["resource"] if before else 0, job.run.resource)
