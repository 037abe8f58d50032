"""The model of local outlier factors, for training rows and for new rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.iterator_udf import iterator_udf
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.mining.arrays_model import FilesBeside
from sparkml_dist.mining.outliers.local_density import factors, reachability_density
from sparkml_dist.mining.outliers.lof_tasks import KEPT
from sparkml_dist.mining.outliers.neighborhoods import neighborhoods
from sparkml_dist.mining.outliers.outlier_params import OutlierModel
from sparkml_dist.mining.outliers.point_blocks import PointBlocks, block_file
from sparkml_dist.mining.point_columns import point_matrix
from sparkml_dist.models.scoring import loaded

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["LocalOutlierFactorModel"]

# Bytes of points up to which a task keeps all of them in memory; beyond, it reads them by block.
_KEPT_BYTES = 128 << 20
# New rows that are searched together, since they may need every block.
_ROWS_AT_ONCE, _CANDIDATES_AT_ONCE = 16_384, 1 << 20


class LocalOutlierFactorModel(FilesBeside, OutlierModel):
    """The training points of `LocalOutlierFactor`, with their densities.

    ``transform`` treats every row as a new one: it adds the factor (``scoreCol``) relative to the
    training rows, and ``predictionCol``: 1.0 where the factor is above `threshold`. ``scores``
    gives the factors of the training rows, each relative to all others.

    Attributes
    ----------
    folder : Folder
        Folder of the points.
    """

    _names = ("offsets", "low", "high")
    _trained_on: DataFrame | None = None

    @property
    def numNeighbors(self) -> int:
        """Neighbours that a row is compared with."""
        return int(self.content["neighbors"])

    @property
    def blocks(self) -> PointBlocks:
        """The distinct points, by block."""
        offsets, low, high = (self.arrays[name] for name in ("offsets", "low", "high"))
        # Points, the tree, and three numbers for each point.
        size = int(offsets[-1]) * 8 * (3 * self.numFeatures + 4)
        return PointBlocks(self.folder, offsets, low, high, keep=size <= _KEPT_BYTES)

    def scores(self, dataset: DataFrame | None = None) -> DataFrame:
        """Return the training rows with their own factors and predictions.

        Parameters
        ----------
        dataset : pyspark.sql.DataFrame, optional
            The training rows; those of the fit by default. Other rows get null.

        Raises
        ------
        ConfigurationError
            ``not_kept`` for a loaded model without `dataset`.
        DataError
            ``column_not_found``, ``non_numeric_feature``.
        """
        from pyspark.sql import functions as F

        if dataset is None:
            dataset = self._trained_on
        if dataset is None:
            raise ConfigurationError(
                "not_kept",
                "A loaded model does not have its training rows.",
                "Pass them: model.scores(df). For other rows, use transform.",
            )
        self.columns.check(dataset)
        blocks, number = self.blocks, len(self.arrays["low"])
        known = dataset.sparkSession.range(0, number, 1, number).mapInArrow(
            partial(_known, blocks),
            "_sparkml_dist_known array<double>, _sparkml_dist_score double",
        )
        point = "_sparkml_dist_point"
        placed = dataset.withColumn(point, self.columns.column())
        found = placed.join(known, F.col(point) == F.col("_sparkml_dist_known"), "left")
        return self._with_score(found.drop(point, "_sparkml_dist_known"))

    def score(self, rows: Any) -> npt.NDArray[np.float64]:
        """Return the factors of new rows in memory, shape (n, d), without Spark."""
        return _new_factors(np.asarray(rows, np.float64), self.blocks, self.numNeighbors)

    def _training_scores(self, dataset: DataFrame) -> DataFrame:
        return self.scores(dataset)

    def _score(self) -> Column:
        blocks, k, width = self.blocks, self.numNeighbors, self.numFeatures
        key = f"{self.uid} {self.folder.location}"

        def predict(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
            own = loaded(key, lambda: blocks)
            with limit_threads(1):
                for batch in batches:
                    yield pa.array(_new_factors(point_matrix(batch, width), own, k))

        return iterator_udf(predict, "double")(self.columns.column())

    def _files(self) -> list[str]:
        filled = np.flatnonzero(np.diff(self.arrays["offsets"]))
        return [block_file(name, int(block)) for block in filled for name in KEPT]

    def __repr__(self) -> str:
        return (
            f"LocalOutlierFactorModel({self.summary['rows']:,} rows, {self.numNeighbors} "
            f"neighbours, {self.numFeatures} features, threshold {self.threshold:.4g})"
        )


def _new_factors(
    points: npt.NDArray[np.float64], blocks: PointBlocks, k: int
) -> npt.NDArray[np.float64]:
    """Return the factors of new points relative to the training points."""
    out = np.empty(len(points))
    step = max(1, min(_ROWS_AT_ONCE, _CANDIDATES_AT_ONCE // k))
    for start in range(0, len(points), step):
        near = neighborhoods(points[start : start + step], blocks, k)
        density = reachability_density(near, blocks)
        out[start : start + step] = factors(near, blocks, density)
    return out


def _known(blocks: PointBlocks, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the points of blocks and their factors."""
    for batch in batches:
        for block in batch.column(0).to_pylist():
            if not blocks.size(block):
                continue
            points, found = blocks.array("points", block), blocks.array("factor", block)
            for start in range(0, len(points), _ROWS_AT_ONCE):
                piece = points[start : start + _ROWS_AT_ONCE]
                n, width = piece.shape
                offsets = pa.array(np.arange(0, (n + 1) * width, width, dtype=np.int32))
                yield pa.RecordBatch.from_arrays(
                    [
                        pa.ListArray.from_arrays(offsets, pa.array(piece.ravel())),
                        pa.array(found[start : start + n]),
                    ],
                    ["_sparkml_dist_known", "_sparkml_dist_score"],
                )
