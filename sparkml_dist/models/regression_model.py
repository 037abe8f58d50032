"""Base of the fitted regressors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkml_dist.models.scored_file import FileScorer
from sparkml_dist.models.scoring import score_regression
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["ShardRegressionModel"]


class ShardRegressionModel(ShardModel):
    """Base of the fitted regressors: a number for each row, computed on executors.

    See `ShardModel` for the attributes. The function of `Scorer.load` returns arrays of shape (n,).
    """

    def _target(self) -> str:
        return f"regression of {self.label.column!r}"

    def _file_scorer(self) -> FileScorer | None:
        if type(self)._transform is not ShardRegressionModel._transform:
            return None
        name = self.getOrDefault(self.predictionCol)
        return FileScorer(self.schema, self._task_scorer(), None, (name,))

    def _transform(self, dataset: DataFrame) -> DataFrame:
        cpus = SessionInfo.of(dataset.sparkSession).task_cpus
        return score_regression(
            dataset,
            self.schema,
            self._task_scorer(),
            self.getOrDefault(self.predictionCol),
            task_cpus=cpus,
        )
