"""Fitted one-class machines: how novel a row is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasPredictionCol

from sparkml_dist.cluster.iterator_udf import iterator_udf
from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.dataset.column_names import check_outputs, with_outputs
from sparkml_dist.kernels.feature_model import KernelSpaceModel
from sparkml_dist.kernels.nystroem_map import NystroemMap
from sparkml_dist.models.scoring import check_feature_columns
from sparkml_dist.params import AccessibleParams, param
from sparkml_dist.persistence.arrays import check_array
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["HasScoreCol", "OneClassMachineModel"]

_ROWS_AT_ONCE = 4096
_SCORE = "_sparkml_dist_score"


class HasScoreCol(AccessibleParams):
    """The column of scores."""

    scoreCol: Any = param(
        "scoreCol",
        "column for the outlier score; higher is more anomalous",
        TypeConverters.toString,
    )


class OneClassMachineModel(KernelSpaceModel, HasPredictionCol, HasScoreCol):
    """The model of `OneClassMachine`.

    ``transform`` adds `scoreCol`, the offset less the similarity to the training rows, and
    `predictionCol`: 1 where the score is above 0, for novel rows, and 0 for others.

    Attributes
    ----------
    summary : dict
        ``outside`` (share of the training rows with scores above 0), ``centers``,
        ``length_scale``, ``passes``, ``residual`` (relative), ``converged``, ``seconds``.
    """

    _defaults: ClassVar[dict[str, Any]] = {
        "predictionCol": "prediction",
        "scoreCol": "outlierScore",
    }

    def _check_arrays(self) -> None:
        check_array(self.arrays, "centers", (None, self.scaling.width))
        check_array(self.arrays, "coefficients", (len(self.arrays["centers"]),))
        check_array(self.arrays, "offset", (1,))

    def score(self, rows: Any) -> npt.NDArray[np.float64]:
        """Return the scores of rows in memory, shape (n, numFeatures), without Spark."""
        return _scores(self._space(), self.arrays)(np.asarray(rows, np.float64))

    def _space(self) -> NystroemMap:
        return NystroemMap(self.kernel, self.scaling, self.arrays["centers"])

    def _transform(self, dataset: DataFrame) -> DataFrame:
        from pyspark.sql import functions as F

        check_feature_columns(dataset, self.schema)
        schema, score = self.schema, _scores(self._space(), self.arrays)
        carried, cores = schema.n_transported, SessionInfo.of(dataset.sparkSession).task_cpus

        def make(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
            with limit_threads(cores):
                for batch in joined_batches(batches, _ROWS_AT_ONCE):
                    rows = schema.encode([batch.field(i) for i in range(carried)])
                    yield pa.array(score(rows))

        score_col, prediction = self.getOrDefault(self.scoreCol), self.getOrDefault("predictionCol")
        check_outputs(dataset, [score_col, prediction])
        made = iterator_udf(make, "double")(F.struct(*schema.transport()))
        value = F.col(_SCORE)
        outputs = {score_col: value, prediction: (value > 0).cast("double")}
        return with_outputs(dataset.select("*", made.alias(_SCORE)), outputs, temporary=[_SCORE])


def _scores(space: NystroemMap, arrays: dict[str, Any]) -> Any:
    coefficients, offset = arrays["coefficients"], float(arrays["offset"][0])

    def score(X: Any) -> npt.NDArray[np.float64]:
        found = np.empty(X.shape[0])
        for rows, alike in space.chunks(X):
            found[rows] = offset - alike @ coefficients
        return found

    return score
