"""The model of robust z-scores: medians and scales of columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.iterator_udf import iterator_udf
from sparkml_dist.mining.outliers.outlier_params import OutlierModel
from sparkml_dist.mining.point_columns import point_matrix
from sparkml_dist.params import param

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["RobustZScoreModel"]

_FOUND = "_sparkml_dist_found"


class RobustZScoreModel(OutlierModel):
    """The medians and scales that `RobustZScore` found.

    ``transform`` adds the largest absolute z-score of a row (``scoreCol``), the name of the
    feature that has it (``columnCol``), ``predictionCol``: 1.0 where the score is above
    `threshold`, and all z-scores where ``zScoresCol`` is set.
    """

    columnCol: Any = param(
        "columnCol",
        "column for the feature with the largest z-score",
        TypeConverters.toString,
    )
    zScoresCol: Any = param(
        "zScoresCol", "column for the z-scores of all features", TypeConverters.toString
    )

    _defaults: ClassVar[dict[str, Any]] = {"columnCol": "outlierColumn"}

    @property
    def featureNames(self) -> list[str]:
        """Names of the features."""
        return list(self.content["names"])

    @property
    def medians(self) -> npt.NDArray[np.float64]:
        """Median of each feature, shape (d,)."""
        return np.asarray(self.arrays["median"])

    @property
    def scales(self) -> npt.NDArray[np.float64]:
        """Divisor of each feature's deviations from the median, shape (d,); 0 if it is constant.

        It estimates the standard deviation.
        """
        return np.asarray(self.arrays["scale"])

    def _check_restored(self) -> None:
        names = self.featureNames
        if not all(isinstance(name, str) for name in names):
            raise TypeError("names must hold text only")
        if not len(names) == len(self.medians) == len(self.scales) == self.numFeatures:
            raise ValueError("there must be a name, a median and a scale for each feature")

    def zscores(self, rows: Any) -> npt.NDArray[np.float64]:
        """Return the z-scores of rows in memory, shape (n, d), without Spark."""
        return _zscores(np.asarray(rows, np.float64), self.medians, self.scales)

    def score(self, rows: Any) -> npt.NDArray[np.float64]:
        """Return the scores of rows in memory, shape (n, d), without Spark."""
        largest: npt.NDArray[np.float64] = np.abs(self.zscores(rows)).max(axis=1)
        return largest

    def _transform(self, dataset: DataFrame) -> DataFrame:
        from pyspark.sql import functions as F

        self.columns.check(dataset)
        added = {name: self._value(getattr(self, name)) for name in ("columnCol", "zScoresCol")}
        found = F.col(_FOUND)
        scored = dataset.select("*", self._found().alias(_FOUND)).withColumn(
            "_sparkml_dist_score", found["score"]
        )
        fields = {"columnCol": "column", "zScoresCol": "z"}
        more = {name: found[fields[p]] for p, name in added.items() if name}
        return self._with_score(scored, more, [_FOUND])

    def _found(self) -> Column:
        """Return the column of score, feature with the largest z-score, and z-scores."""
        median, scale, width = self.medians, self.scales, self.numFeatures
        names = pa.array(self.featureNames)

        def find(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
            for batch in batches:
                z = _zscores(point_matrix(batch, width), median, scale)
                size = np.abs(z)
                at = size.argmax(axis=1)
                offsets = pa.array(np.arange(0, (len(z) + 1) * width, width, dtype=np.int32))
                yield pa.StructArray.from_arrays(
                    [
                        pa.array(size[np.arange(len(z)), at]),
                        names.take(pa.array(at)),
                        pa.ListArray.from_arrays(offsets, pa.array(z.ravel())),
                    ],
                    ["score", "column", "z"],
                )

        kind = "score: double, column: string, z: array<double>"
        return iterator_udf(find, kind)(self.columns.column())

    def __repr__(self) -> str:
        return f"RobustZScoreModel({self.numFeatures} features, threshold {self.threshold:.4g})"


def _zscores(
    rows: npt.NDArray[np.float64], median: npt.NDArray[np.float64], scale: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the z-scores of rows; 0 where a column has no scale."""
    known = scale > 0
    z: npt.NDArray[np.float64] = (rows - median) / np.where(known, scale, 1.0)
    z[:, ~known] = 0.0
    return z
