"""Base of the estimators of contextual bandits."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from pyspark.ml.param.shared import HasSeed, HasWeightCol

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.models.saved_params import SavedParams
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.workspace import temporary_folder
from sparkml_dist.reinforcement.bandits.decisions import Decisions
from sparkml_dist.reinforcement.policy_estimator import HasLogColumns
from sparkml_dist.reinforcement.policy_model import HasPolicyColumns
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset
from sparkml_dist.session import get_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["BanditEstimator"]


class BanditEstimator(SavedParams, HasPolicyColumns, HasWeightCol, HasSeed):
    """Base of the estimators of policies for single decisions: fits a log, or ready transitions.

    Each row of the log, or each step of transitions, is a decision with a reward of its own. A
    subclass validates its Params in `_check`, and fits in `_fit_decisions`.
    """

    stateCols: Any = HasLogColumns.stateCols
    actionCol: Any = HasLogColumns.actionCol
    rewardCol: Any = HasLogColumns.rewardCol
    actions: Any = HasLogColumns.actions
    numShards: Any = HasLogColumns.numShards
    memoryPerTask: Any = HasLogColumns.memoryPerTask
    shardsDir: Any = HasLogColumns.shardsDir

    @abstractmethod
    def _check(self, spark: SparkSession) -> None:
        """Raise `ConfigurationError` for invalid Params; runs before any job."""

    @abstractmethod
    def _fit_decisions(self, spark: SparkSession, data: TransitionDataset) -> Any:
        """Return the model that is learnt from decisions."""

    def fit(self, dataset: DataFrame | TransitionDataset, params: Any = None) -> Any:
        """Fit on a log of decisions, or on transitions.

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
        self._check(spark)
        if ready:
            if dataset.schema.action is None:
                raise ConfigurationError(
                    "invalid_param",
                    "The actions of these transitions are numbers.",
                    "Make the transitions without continuous=True.",
                )
            return self._finished(self._fit_decisions(spark, dataset))
        data, temporary = self._decisions(dataset)
        try:
            return self._finished(self._fit_decisions(spark, data))
        finally:
            if temporary:
                data.folder.delete()

    def _decisions(self, df: DataFrame) -> tuple[TransitionDataset, bool]:
        """Return the decisions of a log, and whether their folder is temporary."""
        if not self.isSet(self.stateCols):
            raise ConfigurationError(
                "invalid_param", "stateCols is not set.", "Name the columns of the state."
            )
        kept = self.isSet(self.shardsDir)
        folder = (
            Folder.at(self.getOrDefault(self.shardsDir))
            if kept
            else temporary_folder(df.sparkSession, "decisions", "shardsDir")
        )
        memory = None if self.isSet(self.numShards) else self._value(self.memoryPerTask)
        try:
            data = Decisions(
                df,
                folder.location,
                state=self.getOrDefault(self.stateCols),
                action=self.getOrDefault(self.actionCol),
                reward=self.getOrDefault(self.rewardCol),
                behaviorProb=self._logged_probability(),
                weight=self._value(self.weightCol),
                actions=self._value(self.actions),
                shards=self._value(self.numShards),
                memory_per_task=memory,
                seed=self.getOrDefault(self.seed),
                overwrite=kept,
            )
        except BaseException:
            if not kept:
                folder.delete()
            raise
        return data, not kept

    def _logged_probability(self) -> str | None:
        """Return the column of the logged probability, where the method needs one."""
        return None

    def _finished(self, model: Any) -> Any:
        for output in model.params:
            if self.hasParam(output.name) and self.isDefined(self.getParam(output.name)):
                model._set(**{output.name: self.getOrDefault(self.getParam(output.name))})
        return model
