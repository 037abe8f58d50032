"""Base of the classifiers that fit copies of one learner in a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.tasks import TaskOutcome
from sparkml_dist.cluster.workers import check_workers
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.ensemble.ensemble import member_summary
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.learners.learner import modules_of
from sparkml_dist.members.engine import member_files
from sparkml_dist.members.ensemble_model import voting_content
from sparkml_dist.members.learner_params import LearnerParams, learner_plan
from sparkml_dist.models.classifier import ShardClassifier
from sparkml_dist.models.grid_value import GridValue
from sparkml_dist.models.loading import Saved
from sparkml_dist.params import param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = [
    "OneLearnerClassifier",
    "check_at_least_one",
    "raise_shard_failures",
    "sequence_model",
]


class OneLearnerClassifier(LearnerParams, ShardClassifier):
    """Base of the classifiers with one learner whose copies vote; see `LearnerParams`."""

    estimator: Any = param("estimator", "a scikit-learn classifier", GridValue.of)
    numMembers: Any = param("numMembers", "number of members, at most (>= 1)", TypeConverters.toInt)

    _object_params: ClassVar[tuple[str, ...]] = ("estimator",)

    def _learners(self) -> list[Any]:
        if not self.isSet(self.estimator):
            raise ConfigurationError(
                "no_estimator",
                f"{type(self).__name__} needs an estimator.",
                "Pass estimator=sklearn.tree.DecisionTreeClassifier(max_depth=3), for example.",
            )
        return [self.getOrDefault(self.estimator)]

    def _voting(self) -> str:
        return "hard"

    def _check_params(self, spark: SparkSession) -> None:
        members = self.getOrDefault(self.numMembers)
        if members < 1:
            raise ConfigurationError("invalid_param", f"numMembers must be >= 1. Got {members}.")
        super()._check_params(spark)

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        return {
            "class": type(self).__name__,
            "data": data.manifest.content_sha256,
            "learners": [learner_plan(x) for x in self._learners()],
            "members": self.getOrDefault(self.numMembers),
            "seed": self.getOrDefault(self.seed),
        }

    def _maker_fields(
        self, spark: SparkSession, data: PartitionedDataset, folder: Folder
    ) -> dict[str, Any]:
        """Return the fields of a `MemberMaker`, after checking that workers can import it."""
        learner = self._known(data)[0]
        check_workers(spark, sorted(modules_of(learner.learner)))
        return {
            "data": data,
            "folder": folder,
            "learner": learner,
            "seed": self.getOrDefault(self.seed),
            "trusted": self._trusted(),
            "cores": SessionInfo.of(spark).task_cpus,
        }

    def _load_object(self, saved: Saved, name: str) -> None:
        learners = self._stored_learners(saved)
        if learners:
            self._set(estimator=learners[0])


def sequence_model(
    estimator: OneLearnerClassifier,
    data: PartitionedDataset,
    folder: Folder,
    records: list[dict[str, Any]],
    weights: list[float],
    voting: str,
) -> Any:
    """Return an estimator's model, made of committed members.

    Parameters
    ----------
    estimator : OneLearnerClassifier
    data : PartitionedDataset
    folder : Folder
        The model's.
    records : list of dict
        Of the members, in the order of the model.
    weights : list of float
        Each member's weight in the vote.
    voting : str
        As in the model's content.
    """
    model = estimator._model_class(
        folder,
        data.schema,
        data.manifest.label,
        member_files(folder, records),
        voting_content(records, weights, voting),
        member_summary(records),
    )
    model.trusted = estimator._trusted()
    return model


def raise_shard_failures(outcomes: Sequence[TaskOutcome]) -> None:
    """Raise if tasks failed, each of one shard, with their number and the first cause.

    Raises
    ------
    SparkMLDistError
        With the class and code of the first failure; what other shards committed is kept.
    """
    failed = [o for o in outcomes if o.error is not None]
    if not failed or failed[0].error is None:
        return
    error = failed[0].error
    shards = ", ".join(str(o.index) for o in failed)
    raise type(error)(
        error.code,
        f"{len(failed)} of {len(outcomes)} shards failed ({shards}). {error.message}",
        error.hint or "The others are committed: with modelDir and resume=True they are kept.",
    )


def check_at_least_one(estimator: Any, *names: str) -> None:
    """Raise if one of an estimator's Params is set and less than 1.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    for name in names:
        value = estimator._value(estimator.getParam(name))
        if value is not None and value < 1:
            raise ConfigurationError("invalid_param", f"{name} must be >= 1. Got {value}.")
