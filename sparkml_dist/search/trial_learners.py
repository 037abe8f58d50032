"""The learners of trials: copies of the search's learners with a trial's parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sparkml_dist.dataset.columns import Task
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.learners.dry_fit import Candidate, dry_fit
from sparkml_dist.learners.known_learner import KnownLearner
from sparkml_dist.learners.learner import Traits, refuse_unusable

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["TrialLearners", "voting_of"]

_PROBABILITIES = ("auc", "log_loss", "brier", "average_precision")


def voting_of(traits: Traits) -> str:
    """Return how members of a learner are combined: ``"soft"``, ``"hard"`` or ``"mean"``."""
    if traits.is_regressor:
        return "mean"
    return "soft" if traits.probabilistic else "hard"


@dataclass
class TrialLearners:
    """Makes learners with the parameters of a trial, known as well as after a dry fit.

    Attributes
    ----------
    spark : pyspark.sql.SparkSession
    data : PartitionedDataset
    learners : mapping of str or None to scikit-learn estimator
        By name; None for the only one.
    task : {"classification", "regression"}
    metrics : sequence of str
    trusted : sequence of str
    """

    spark: SparkSession
    data: PartitionedDataset
    learners: Mapping[str | None, Any]
    task: Task
    metrics: Sequence[str]
    trusted: Sequence[str]
    _tried: dict[Any, tuple[KnownLearner, KnownLearner]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.learners:
            return
        plain = [self._plain(x) for x in self.learners.values()]
        for given, known in zip(plain, self._dry_fit(plain), strict=True):
            self._tried[self._key(given)] = (given, known)

    def of(self, name: str | None, params: Mapping[str, Any]) -> KnownLearner:
        """Return a learner with parameters.

        Raises
        ------
        SparkMLDistError
            It cannot be a member, or cannot have these values.
        """
        from sklearn.base import clone

        learner = clone(self.learners[name])
        try:
            learner.set_params(**{k: _own(v) for k, v in params.items()})
        except (ValueError, TypeError) as error:
            raise ConfigurationError("invalid_estimator_parameter", str(error)) from error
        check_trial_learner(learner, self.task, self.metrics)
        plain = self._plain(learner)
        key = self._key(plain)
        if key not in self._tried:
            self._tried[key] = (plain, self._dry_fit([plain])[0])
        return replace(self._tried[key][1], learner=plain.learner)

    def _plain(self, learner: Any) -> KnownLearner:
        return KnownLearner.of(learner, self.data.schema, self.data.manifest.label.classes)

    def _dry_fit(self, plain: Sequence[KnownLearner]) -> list[KnownLearner]:
        return dry_fit(self.spark, self.data, [Candidate(k) for k in plain], self.trusted)

    def _key(self, known: KnownLearner) -> Any:
        """A key of learners that accept the same: a dry fit of one answers for all."""
        return type(known.learner), known.traits, known.form, known.by_class


def _own(value: Any) -> Any:
    """Return a learner of the space as a copy of the trial's own."""
    from sklearn.base import clone

    return clone(value) if hasattr(value, "get_params") and not isinstance(value, type) else value


def check_trial_learner(learner: Any, task: Task, metrics: Sequence[str]) -> Traits:
    """Raise if a learner cannot be a member, or not be scored by the metrics.

    Raises
    ------
    ConfigurationError
        Those of `refuse_unusable`.
    """
    needs = any(m in _PROBABILITIES for m in metrics)
    return refuse_unusable(learner, voting="soft" if needs else "hard", task=task)
