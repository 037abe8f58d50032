"""Runs the trials of an algorithm selection on the engine of the search."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sparkml_dist.automl.families.family import Family
from sparkml_dist.automl.family_sampler import FamilySampler
from sparkml_dist.automl.schedule import Schedule
from sparkml_dist.cluster.watched_child import Limits
from sparkml_dist.cluster.workers import check_workers
from sparkml_dist.dataset.columns import Task
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.errors import SparkMLDistError, TrainingError
from sparkml_dist.learners.fitting import MEMBERS
from sparkml_dist.learners.known_learner import KnownLearner
from sparkml_dist.learners.learner import modules_of
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.search.engine import LOOK_AHEAD, Engine, Goal
from sparkml_dist.search.goal import SearchGoal
from sparkml_dist.search.learner_runner import LearnerRunner
from sparkml_dist.search.schedulers.making import make_scheduler
from sparkml_dist.search.sequencer import Sequencer
from sparkml_dist.search.trial_learners import TrialLearners
from sparkml_dist.search.trial_rows import TrialRows
from sparkml_dist.search.trial_store import TrialStore
from sparkml_dist.search.trial_task import TrialTask, member_stem

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["COMPARISON_SHARE", "Budget", "Trials"]

_logger = logging.getLogger(__name__)

# Seconds that the end takes besides fits: select, store, commit.
_END_SECONDS = 2.0
#: Share of the time that the comparison of ways to weight the ensemble may take.
COMPARISON_SHARE = 0.02
# A fit on all rows takes longer than one of the highest rung by its rows, and by this factor.
_SLACK = 1.1
# Share of the time that is kept for it at most.
_REFIT_SHARE = 0.25
# What a trial takes besides its fit and its predictions, about.
_OVERHEAD_SECONDS = 0.3
# Share of the time that one fit may take, and its least seconds.
_LONGEST_SHARE, _LONGEST_LEAST = 0.3, 2.0
# Share of the time that a learner is set up for, where its time can be foreseen.
_USUAL_SHARE = 0.15


@dataclass(frozen=True)
class Budget:
    """How much may be tried.

    Attributes
    ----------
    trials : int or None
    seconds : float or None
        Of everything.
    begun : float
        On the clock of ``time.monotonic``.
    """

    trials: int | None
    seconds: float | None
    begun: float

    def left(self) -> float | None:
        """Return the seconds that are left; None for no end."""
        if self.seconds is None:
            return None
        return self.begun + self.seconds - time.monotonic()

    def fit_seconds(self) -> float | None:
        """Return the seconds that a fit should take at most; None for no bound."""
        return None if self.seconds is None else _USUAL_SHARE * self.seconds

    @property
    def repeats(self) -> bool:
        """Whether the same seed gives the same trials."""
        return self.seconds is None


@dataclass(frozen=True)
class _TimedGoal(Goal):
    """A goal that tells the sampler how long a trial took, before its loss.

    Attributes
    ----------
    sampler : FamilySampler
    longest : float or None
        Seconds that a fit may take.
    """

    sampler: FamilySampler
    longest: float | None

    def of(self, record: dict[str, Any]) -> float | None:
        """Return the loss of a record; None if the trial has none."""
        seconds = record["seconds"] + record["predict_seconds"] + _OVERHEAD_SECONDS
        if record["state"] == "timeout":
            seconds += self.longest or 0.0
        self.sampler.spent(record["trial"], record["rung"], float(seconds))
        return super().of(record)


class _FamilyLearners(TrialLearners):
    """The learners of families, which all take missing values and are stored without further trust:
    no dry fit has to find that out, which would take seconds.
    """

    def _dry_fit(self, plain: Sequence[KnownLearner]) -> list[KnownLearner]:
        return [replace(k, traits=replace(k.traits, allows_missing=True)) for k in plain]


class Trials:
    """The trials of one algorithm selection.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    data : PartitionedDataset
    folder : Folder
        Results, votes and members are committed below it.
    families : sequence of Family
    schedule : Schedule
    metrics : sequence of str
        The one that decides first.
    budget : Budget
    sampler : str
    seed : int
    slots, cores : int
        Tasks that run at a time, and cores of each.
    memory : int
        Bytes of rows that a worker keeps.
    limit : int or None
        Bytes that a fit may take besides.

    Attributes
    ----------
    left : dict of str to str
        Families that cannot be tried on these data, and why.
    engine : Engine
        After `run`.
    """

    def __init__(
        self,
        spark: SparkSession,
        data: PartitionedDataset,
        folder: Folder,
        families: Sequence[Family],
        schedule: Schedule,
        metrics: Sequence[str],
        budget: Budget,
        *,
        sampler: str,
        seed: int,
        slots: int,
        cores: int,
        memory: int,
        limit: int | None,
    ) -> None:
        self.spark, self.data, self.folder = spark, data, folder
        self.schedule, self.metrics, self.budget = schedule, tuple(metrics), budget
        self.seed, self.slots, self.cores = seed, slots, cores
        self.left: dict[str, str] = {}
        usable = self._usable(families)
        self.learners = self._learners(usable)
        self.limits = Limits(self._longest(), None, limit)
        self.rows = TrialRows(data, schedule.held_out, memory)
        self.goal = SearchGoal(self.metrics[0], {}, schedule.resource)
        self._families = [f for f in usable if f.name not in self.left]
        if not self._families:
            raise TrainingError(
                "all_trials_failed",
                "No family of learners can be tried: "
                + "; ".join(f"{name}: {why}" for name, why in self.left.items()),
                "Name other families, or none.",
            )
        self._sampler = sampler

    def run(self) -> None:
        """Run trials until the budget is spent."""
        resource = self.schedule.resource
        sampler = FamilySampler(
            self._families, self._sampler, self.seed, timed=not self.budget.repeats
        )
        scheduler = make_scheduler(
            "asha", self.budget.trials, resource.least, resource.most, self.schedule.factor
        )
        task = TrialTask(
            self.rows,
            self.folder,
            (),
            self.metrics,
            resource.shards,
            self.seed,
            self.cores,
            (),
            keeps_votes=True,
            limits=self.limits,
        )
        runner = LearnerRunner(
            self.spark, task, self.learners, resource.kind, resource.rows, stores=True
        )
        seconds = self.budget.seconds
        self.engine = Engine(
            self.spark,
            Sequencer(scheduler, sampler, LOOK_AHEAD if self.budget.repeats else None),
            lambda _: runner,
            TrialStore(self.folder),
            _TimedGoal(self.goal.loss, sampler, self.limits.seconds),
            slots=self.slots,
            tag=f"sparkml_dist-automl-{uuid.uuid4().hex}",
            reserve=self._reserve,
            deadline=None if seconds is None else self.budget.begun + seconds,
            total=self.budget.trials,
        )
        kept = self.engine.resume()
        if kept:
            _logger.info("%d results of trials are committed already", kept)
        self.engine.run()

    def latest(self, trial: int) -> dict[str, Any]:
        """Return a trial's record of the highest rung that it ended, with its members so far."""
        done = [
            record
            for (number, _), record in sorted(self.engine.records.items())
            if number == trial and record["state"] == "done"
        ]
        found = {(m["member"], m["part"]): m for record in done for m in record["members"]}
        return {**done[-1], "members": [found[k] for k in sorted(found)]}

    def forget(self, kept: Iterable[int]) -> None:
        """Delete the stored members of all trials but some; votes stay, for a resumed fit."""
        home = self.folder.child(MEMBERS)
        heads = tuple(f"{member_stem(trial, 0).partition('-member')[0]}-" for trial in kept)
        for name in home.names(".skops"):
            if not name.startswith(heads):
                home.delete_file(name)

    def refit_seconds(self, record: dict[str, Any]) -> float:
        """Return how long it takes to fit a trial on all rows, by its latest fit."""
        grown = self.schedule.resource.most / max(1, record["resource"]) / self.schedule.share
        return float(0.3 + _SLACK * record["seconds"] * grown)

    def _reserve(self, record: dict[str, Any] | None) -> float:
        """Return the seconds to keep for the end."""
        end = _END_SECONDS + COMPARISON_SHARE * (self.budget.seconds or 0.0)
        if record is None or not self.schedule.refits:
            return end
        # As long as the best trial takes: for it, and for others beside it.
        allowed = _REFIT_SHARE * (self.budget.seconds or 0.0)
        return end + min(self.refit_seconds(record), allowed)

    def _longest(self) -> float | None:
        """Return the seconds that one fit may take."""
        left = self.budget.left()
        return None if left is None else max(_LONGEST_LEAST, _LONGEST_SHARE * left)

    def _usable(self, families: Sequence[Family]) -> list[Family]:
        """Leave out families whose packages a worker lacks."""
        try:
            check_workers(self.spark, sorted({m for f in families for m in modules_of(f.learner)}))
        except SparkMLDistError:
            pass  # which of them?
        else:
            return list(families)
        usable = []
        for family in families:
            try:
                check_workers(self.spark, sorted(modules_of(family.learner)))
            except SparkMLDistError as error:
                self.left[family.name] = error.message
            else:
                usable.append(family)
        return usable

    def _learners(self, families: Sequence[Family]) -> TrialLearners:
        """Return the learners by family; leave out those that rows with weights do not fit."""
        label = self.data.manifest.label
        task: Task = "regression" if label.is_regression else "classification"
        named: dict[str | None, Any] = {f.name: f.learner for f in families}
        return self._weighted(_FamilyLearners(self.spark, self.data, named, task, self.metrics, ()))

    def _weighted(self, learners: TrialLearners) -> TrialLearners:
        """Leave out learners that take no weights, if rows have some."""
        if self.data.manifest.weight is None:
            return learners
        for name in list(learners.learners):
            if learners.of(name, {}).traits.weight_parameter is None:
                self.left[str(name)] = "does not take row weights"
        return learners
