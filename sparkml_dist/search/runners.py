"""The runners of a search: of learners, and of this library's estimators."""

from __future__ import annotations

from dataclasses import dataclass

from sparkml_dist.search.engine import Runner
from sparkml_dist.search.estimator_runner import EstimatorRunner
from sparkml_dist.search.learner_runner import LearnerRunner
from sparkml_dist.search.sequencer import Job

__all__ = ["Runners"]


@dataclass(frozen=True)
class Runners:
    """The runners of a search.

    Attributes
    ----------
    learners : LearnerRunner
    estimators : EstimatorRunner
    """

    learners: LearnerRunner
    estimators: EstimatorRunner

    def of(self, job: Job) -> Runner:
        """Return the runner of a job."""
        known = job.setting.estimator in self.estimators.estimators
        return self.estimators if known else self.learners
