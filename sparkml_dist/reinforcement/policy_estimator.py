"""Base of the estimators that learn a policy from logged transitions."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from pyspark.ml.param import Params, TypeConverters
from pyspark.ml.param.shared import HasSeed, HasWeightCol

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.models.saved_params import SavedParams
from sparkml_dist.params import param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.workspace import temporary_folder
from sparkml_dist.reinforcement.policy_model import HasPolicyColumns
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset
from sparkml_dist.reinforcement.transitions import Transitions
from sparkml_dist.session import get_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["HasLogColumns", "PolicyEstimator"]


class HasLogColumns(HasWeightCol, Params):
    """The columns of a log; see `Transitions`."""

    episodeCol: Any = param(
        "episodeCol",
        "column that identifies an episode; a table of single transitions has none",
        TypeConverters.toString,
    )
    stepCol: Any = param(
        "stepCol", "column with the order of an episode's rows", TypeConverters.toString
    )
    stateCols: Any = param(
        "stateCols", "columns of the state, in this order", TypeConverters.toListString
    )
    actionCol: Any = param("actionCol", "column of the logged action", TypeConverters.toString)
    rewardCol: Any = param("rewardCol", "column of the reward", TypeConverters.toString)
    terminatedCol: Any = param(
        "terminatedCol",
        "column that tells whether the episode ended there",
        TypeConverters.toString,
    )
    truncatedCol: Any = param(
        "truncatedCol",
        "column that tells whether the episode was cut off there",
        TypeConverters.toString,
    )
    nextStateCols: Any = param(
        "nextStateCols",
        "columns of the next state; that of the episode's next row when not set",
        TypeConverters.toListString,
    )
    behaviorProbCol: Any = param(
        "behaviorProbCol",
        "column of the probability with which the logged action was taken",
        TypeConverters.toString,
    )
    discountCol: Any = param(
        "discountCol", "column of a row's own discount, in [0, 1]", TypeConverters.toString
    )
    actions: Any = param(
        "actions", "the list of actions; those of the log when not set", TypeConverters.toList
    )
    gaps: Any = param(
        "gaps",
        "what a missing step means: 'error', 'cut' (the episode is cut off there) or 'ignore'",
        TypeConverters.toString,
    )
    numShards: Any = param("numShards", "number of shards (>= 1)", TypeConverters.toInt)
    memoryPerTask: Any = param(
        "memoryPerTask",
        "memory of a task beyond its interpreter, like '512m'; sizes the shards when numShards "
        "is not set",
        TypeConverters.toString,
    )
    shardsDir: Any = param(
        "shardsDir",
        "folder where fit keeps the transitions that it makes; a temporary one when not set",
        TypeConverters.toString,
    )


class PolicyEstimator(SavedParams, HasLogColumns, HasPolicyColumns, HasSeed):
    """Base of the estimators of policies: fits a log, or ready transitions.

    A subclass validates its Params in `_check`, and fits in `_fit_transitions`.
    """

    discount: Any = param(
        "discount", "discount of future rewards, in [0, 1]", TypeConverters.toFloat
    )

    @abstractmethod
    def _check(self, spark: SparkSession) -> None:
        """Raise `ConfigurationError` for invalid Params; runs before any job."""

    @abstractmethod
    def _fit_transitions(self, spark: SparkSession, data: TransitionDataset) -> Any:
        """Return the model that is learnt from transitions."""

    def fit(self, dataset: DataFrame | TransitionDataset, params: Any = None) -> Any:
        """Fit on a log, or on transitions.

        Parameters
        ----------
        dataset : pyspark.sql.DataFrame or TransitionDataset
        params : dict or list of dict, optional
            As for any estimator of Spark ML.

        Returns
        -------
        PolicyModel, or a list of them

        Raises
        ------
        SparkMLDistError
        """
        return super().fit(dataset, params)

    def _fit(self, dataset: Any) -> Any:
        ready = isinstance(dataset, TransitionDataset)
        spark = get_session() if ready else dataset.sparkSession
        gamma = self.getOrDefault(self.discount)
        if not 0 <= gamma <= 1:
            raise ConfigurationError("invalid_param", f"discount must be in [0, 1]. Got {gamma!r}.")
        self._check(spark)
        if ready:
            return self._finished(self._fit_transitions(spark, dataset))
        return self._finished(self._fit_log(spark, dataset))

    def _fit_log(self, spark: SparkSession, df: DataFrame) -> Any:
        """Return the model that is learnt from a log."""
        data, temporary = self._transitions(df)
        try:
            return self._fit_transitions(spark, data)
        finally:
            if temporary:
                data.folder.delete()

    def _finished(self, model: Any) -> Any:
        for output in model.params:
            if self.hasParam(output.name) and self.isDefined(self.getParam(output.name)):
                model._set(**{output.name: self.getOrDefault(self.getParam(output.name))})
        return model

    def _log_options(self) -> dict[str, Any]:
        """Return the arguments of `Transitions` that follow from Params.

        Raises
        ------
        ConfigurationError
            ``invalid_param`` where stateCols is not set.
        """
        if not self.isSet(self.stateCols):
            raise ConfigurationError(
                "invalid_param", "stateCols is not set.", "Name the columns of the state."
            )
        memory = None if self.isSet(self.numShards) else self._value(self.memoryPerTask)
        return {
            "state": self.getOrDefault(self.stateCols),
            "action": self.getOrDefault(self.actionCol),
            "reward": self.getOrDefault(self.rewardCol),
            "episode": self._value(self.episodeCol),
            "step": self._value(self.stepCol),
            "terminated": self._value(self.terminatedCol),
            "truncated": self._value(self.truncatedCol),
            "nextState": self._value(self.nextStateCols),
            "behaviorProb": self._value(self.behaviorProbCol),
            "discount": self._value(self.discountCol),
            "weight": self._value(self.weightCol),
            "actions": self._value(self.actions),
            "gaps": self.getOrDefault(self.gaps),
            "shards": self._value(self.numShards),
            "memory_per_task": memory,
            "seed": self.getOrDefault(self.seed),
        }

    def _transitions(self, df: DataFrame) -> tuple[TransitionDataset, bool]:
        """Return the transitions of a log, and whether their folder is temporary."""
        options = self._log_options()
        if self.isSet(self.shardsDir):
            folder = Folder.at(self.getOrDefault(self.shardsDir))
            return Transitions(df, folder.location, **options, overwrite=True), False
        folder = temporary_folder(df.sparkSession, "transitions", "shardsDir")
        try:
            return Transitions(df, folder.location, **options), True
        except BaseException:
            folder.delete()
            raise
