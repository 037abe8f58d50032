"""Base of the estimators over points: it finds the columns of coordinates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasFeaturesCol, HasPredictionCol

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.mining.estimator import MiningEstimator
from sparkml_dist.mining.point_columns import PointColumns
from sparkml_dist.params import param

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["PointEstimator"]


class PointEstimator(MiningEstimator, HasFeaturesCol, HasPredictionCol):
    """Base of the estimators of clusters and outliers."""

    featuresCols: Any = param(
        "featuresCols",
        "columns of coordinates, by name or glob; the column featuresCol when it exists, or else "
        "every numeric column, when not set",
        TypeConverters.toListString,
    )

    def _columns(self, df: DataFrame) -> PointColumns:
        features = self._value(self.featuresCols)
        if features is None and self.isSet(self.featuresCol):
            features = [self.getOrDefault(self.featuresCol)]  # named explicitly, so it must exist
        return PointColumns.of(df, self.getOrDefault(self.featuresCol), features)

    def _require(self, declared: Any, holds: bool, wanted: str) -> None:
        """Raise `invalid_param` unless the value of a Param `holds`."""
        if not holds:
            raise ConfigurationError(
                "invalid_param",
                f"{declared.name} must be {wanted}. Got {self._value(declared)!r}.",
            )
