"""Base of the estimators of kernel features: it finds the columns, and makes a source of rows."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasFeaturesCol, HasOutputCol, HasSeed

from sparkml_dist.dataset.columns import feature_sources, match_columns
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.dataset.statistics import feature_columns
from sparkml_dist.errors import DataError
from sparkml_dist.kernels.feature_model import KernelFeaturesModel
from sparkml_dist.kernels.kernel_params import HasKernel
from sparkml_dist.kernels.row_source import DataFrameRows, RowSource, ShardRows
from sparkml_dist.models.saved_params import SavedParams
from sparkml_dist.params import param
from sparkml_dist.session import get_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["KernelFeaturesEstimator", "RowsEstimator", "unlabelled_rows"]


def unlabelled_rows(
    dataset: DataFrame | PartitionedDataset, features_col: str, features_cols: list[str] | None
) -> RowSource:
    """Return the rows of a data set, without its label.

    Parameters
    ----------
    dataset : DataFrame or PartitionedDataset
    features_col : str
        Column of numbers, arrays or vectors; used if it exists and `features_cols` is None.
    features_cols : list of str, or None
        Names or globs; every numeric column where there is no `features_col` either.

    Raises
    ------
    DataError
        ``column_not_found``, ``non_numeric_feature``, ``no_features``, ``empty_data``.
    """
    from pyspark.sql.types import NumericType

    if isinstance(dataset, PartitionedDataset):
        return ShardRows(dataset, get_session())
    types = {field.name: field.dataType for field in dataset.schema.fields}
    if features_cols is not None:
        names = match_columns("features", features_cols, types)
    elif features_col in types:
        names = [features_col]
    else:
        names = [name for name, kind in types.items() if isinstance(kind, NumericType)]
    if not names:
        raise DataError(
            "no_features",
            "There is no numeric column to take features from.",
            f"Columns are: {', '.join(types)}.",
        )
    sources = feature_sources(dataset, names)
    columns, sparse, _ = feature_columns(dataset, sources)
    return DataFrameRows(dataset, FeatureSchema.build(columns, sparse=sparse))


class RowsEstimator(SavedParams, HasKernel, HasFeaturesCol, HasSeed):
    """Base of the estimators over rows without a label."""

    featuresCols: Any = param(
        "featuresCols",
        "feature columns, by name or glob; the column featuresCol when it exists, or else every "
        "numeric column, when not set",
        TypeConverters.toListString,
    )

    def _rows(self, dataset: DataFrame | PartitionedDataset) -> RowSource:
        """Return the rows of a data set."""
        names = self._value(self.featuresCols)
        name = self.getOrDefault(self.featuresCol)
        if names is None and self.isSet(self.featuresCol):
            names = [name]  # named explicitly, so it must exist
        return unlabelled_rows(dataset, name, names)


class KernelFeaturesEstimator(RowsEstimator, HasOutputCol):
    """Base of the transformers of rows into kernel features."""

    @abstractmethod
    def _check(self) -> None:
        """Raise `ConfigurationError` for invalid Params."""

    @abstractmethod
    def _features(self, source: RowSource) -> KernelFeaturesModel:
        """Return the model for a source of rows."""

    def _fit(self, dataset: DataFrame | PartitionedDataset) -> KernelFeaturesModel:
        started = time.perf_counter()
        self._check()
        model = self._features(self._rows(dataset))
        model.summary["seconds"] = round(time.perf_counter() - started, 3)
        model._set(outputCol=self.getOrDefault(self.outputCol))
        return model
