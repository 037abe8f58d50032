"""Base of the classifiers that are made of many copies of one learner, in a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.classifier import ShardClassifier
from sparkml_dist.ensemble.ensemble import LearnerParams
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.params import param
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["OneLearnerClassifier", "check_at_least_one"]


class OneLearnerClassifier(LearnerParams, ShardClassifier):
    """Base of the estimators with one learner whose copies vote; see `LearnerParams`."""

    estimator: Any = param("estimator", "a scikit-learn classifier")
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
            raise ConfigurationError("invalid_members", f"numMembers must be >= 1. Got {members}.")
        super()._check_params(spark)

    def _load_object(self, folder: Folder, name: str) -> None:
        learners = self._stored_learners(folder)
        if learners:
            self._set(estimator=learners[0])


def check_at_least_one(estimator: Any, *names: str) -> None:
    """Raise where one of an estimator's Params is set and less than 1.

    Raises
    ------
    ConfigurationError
        ``invalid_`` and the name.
    """
    for name in names:
        value = estimator._value(estimator.getParam(name))
        if value is not None and value < 1:
            raise ConfigurationError(f"invalid_{name}", f"{name} must be >= 1. Got {value}.")
