"""What a search ends with: a refit of the best trial, an ensemble of the best, or neither."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.search.engine import Engine
from sparkml_dist.search.goal import SearchGoal, ranked_trials
from sparkml_dist.search.library import chosen_model, library_of, selection_seconds
from sparkml_dist.search.model import BEST
from sparkml_dist.search.refit import refit_learner, refit_seconds, saved_files
from sparkml_dist.search.runners import Runners
from sparkml_dist.search.trial_learners import voting_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Refitting"]


@dataclass(frozen=True)
class Refitting:
    """The end of a search.

    Attributes
    ----------
    refit : {"best", "ensemble", "none"}
    data : PartitionedDataset
    folder : Folder
        Of the search; the model goes into a folder inside.
    parts : int
        How often a trial is fitted: once for each held-out set.
    share : float
        Share of the rows that a fit of a trial learns from.
    slots : int
        Tasks that run at a time.
    ensemble_size : int
        Largest number of members of an ensemble, with repetition.
    seed : int
    trusted : sequence of str
    """

    refit: str
    data: PartitionedDataset
    folder: Folder
    parts: int
    share: float
    slots: int
    ensemble_size: int
    seed: int
    trusted: Sequence[str]

    @property
    def keeps_members(self) -> bool:
        """Whether the members of all trials are needed."""
        return self.refit == "ensemble"

    def seconds(self, by_shards: bool, record: dict[str, Any] | None) -> float:
        """Return the seconds to keep for it.

        Parameters
        ----------
        by_shards : bool
            Whether a trial has a member on each of its shards.
        record : dict or None
            Of the best trial so far.
        """
        if self.refit == "none":
            return 0.0
        if self.keeps_members:
            rows, label = record["scored_rows"] if record else 0, self.data.manifest.label
            return selection_seconds(rows, len(label.classes), self.ensemble_size)
        members = record["fits"] if record is not None and by_shards else 1
        shards = len(self.data.shards)
        return refit_seconds(record, members, self.parts, shards, self.slots, self.share)

    def run(
        self,
        spark: SparkSession,
        engine: Engine,
        runners: Runners,
        goal: SearchGoal,
        best: tuple[int, int],
    ) -> tuple[list[ModelFile], dict[str, Any]]:
        """Make the model; return its files, and how an ensemble was chosen.

        Parameters
        ----------
        spark : pyspark.sql.SparkSession
        engine : Engine
            After its run.
        runners : Runners
        goal : SearchGoal
        best : tuple of int
            Trial and rung of the best record.
        """
        if self.refit == "none":
            return [], {}
        chosen: dict[str, Any] = {}
        if self.keeps_members:
            chosen = self._choose(spark, engine, runners, goal)
        elif engine.jobs[best].setting.estimator in runners.estimators.estimators:
            own = runners.estimators.with_resource(engine.jobs[best])
            own.setParams(modelDir=self._home.location, resume=True).fit(self.data)
        else:
            self._fit_learner(spark, engine, runners, best)
        return saved_files(self.folder, BEST), chosen

    @property
    def _home(self) -> Folder:
        return self.folder.child(BEST)

    def _fit_learner(
        self, spark: SparkSession, engine: Engine, runners: Runners, best: tuple[int, int]
    ) -> None:
        job, runner = engine.jobs[best], runners.learners
        params = dict(job.setting.params)
        if runner.resource not in ("shards", "rows"):
            params[runner.resource] = job.run.resource
        known = runner.learners.of(job.setting.estimator, params)
        voting = voting_of(known.traits)
        refit_learner(spark, self.data, self._home, known, voting, self.seed, self.trusted)

    def _choose(
        self, spark: SparkSession, engine: Engine, runners: Runners, goal: SearchGoal
    ) -> dict[str, Any]:
        runner = runners.learners
        ranked, voting = runner.voters(engine, ranked_trials(engine, goal))
        _, chosen = chosen_model(
            spark,
            runner.task.rows,
            self.folder,
            self._home,
            library_of(engine.records, ranked, adds=runner.resource == "shards"),
            goal.metric,
            self.ensemble_size,
            voting,
            self.seed,
            self.trusted,
        )
        return chosen
