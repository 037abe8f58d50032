"""What the estimators over points have in common: where coordinates are, how Params are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.base import Estimator
from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasFeaturesCol, HasPredictionCol
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.mining.point_columns import PointColumns
from sparkml_dist.ml_io import EstimatorReader, EstimatorWriter
from sparkml_dist.params import AccessibleParams, param

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["PointEstimator"]


class PointEstimator(
    AccessibleParams, Estimator, HasFeaturesCol, HasPredictionCol, MLWritable, MLReadable
):
    """Base of the estimators of clusters and outliers."""

    featuresCols: Any = param(
        "featuresCols",
        "columns of coordinates, by name or glob; the column featuresCol when it exists, or else "
        "every numeric column, when not set",
        TypeConverters.toListString,
    )

    _defaults: ClassVar[dict[str, Any]] = {"featuresCol": "features", "predictionCol": "prediction"}
    _object_params: ClassVar[tuple[str, ...]] = ()

    def _columns(self, df: DataFrame) -> PointColumns:
        features = self._value(self.featuresCols)
        if features is None and self.isSet(self.featuresCol):
            features = [self.getOrDefault(self.featuresCol)]  # asked for, so it must be there
        return PointColumns.of(df, self.getOrDefault(self.featuresCol), features)

    def _require(self, declared: Any, holds: bool, wanted: str) -> None:
        """Raise where a Param has a value that it must not have."""
        if not holds:
            raise ConfigurationError(
                "invalid_param",
                f"{declared.name} must be {wanted}. Got {self._value(declared)!r}.",
            )

    def write(self) -> MLWriter:
        """Return a writer; ``estimator.write().overwrite().save(path)``."""
        return EstimatorWriter(self)  # type: ignore[arg-type]

    @classmethod
    def read(cls) -> MLReader:
        """Return a reader; ``Class.read().load(path)``."""
        return EstimatorReader(cls)  # type: ignore[arg-type]
