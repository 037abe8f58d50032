"""Base of the fitted classifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from sparkml_dist.models.scored_file import FileScorer
from sparkml_dist.models.scoring import OutputColumns, class_scores, score
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.params import HasClassColumns
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["ShardClassificationModel"]


class ShardClassificationModel(ShardModel, HasClassColumns):
    """Base of the fitted classifiers: class probabilities, computed on executors.

    See `ShardModel` for the attributes.
    """

    _defaults: ClassVar[dict[str, Any]] = {
        "probabilityCol": "probability",
        "rawPredictionCol": "rawPrediction",
        "predictedLabelCol": "predictedLabel",
    }

    @property
    def classes(self) -> list[Any]:
        """The class list, in the order of ``probability``."""
        return list(self.label.classes)

    @property
    def numClasses(self) -> int:
        """Number of classes."""
        return len(self.label.classes)

    def _target(self) -> str:
        return f"{self.numClasses} classes"

    def _outputs(self) -> OutputColumns:
        """Return the columns that `transform` adds."""
        return OutputColumns(
            self.getOrDefault(self.predictionCol),
            self.getOrDefault(self.probabilityCol),
            self.getOrDefault(self.rawPredictionCol),
            self.getOrDefault(self.predictedLabelCol),
        )

    def _file_scorer(self) -> FileScorer | None:
        if type(self)._transform is not ShardClassificationModel._transform:
            return None
        outputs, scorer = self._outputs(), self._task_scorer()
        classes = class_scores(self.label, scorer, outputs)
        names = [outputs.prediction, outputs.probability]
        names += [outputs.raw_prediction] if classes.raw_scale is not None else []
        names += [outputs.predicted_label] if classes.named else []
        names += [column for _, column in outputs.measures] if classes.places else []
        return FileScorer(self.schema, scorer, classes, tuple(names))

    def _transform(self, dataset: DataFrame) -> DataFrame:
        outputs = self._outputs()
        cpus = SessionInfo.of(dataset.sparkSession).task_cpus
        return score(dataset, self.schema, self.label, self._task_scorer(), outputs, task_cpus=cpus)
