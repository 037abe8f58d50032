"""The model of nearest neighbours: the fitted points, in which others are searched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasFeaturesCol

from sparkml_dist.cluster.iterator_udf import iterator_udf
from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.errors import DataError
from sparkml_dist.mining.estimator import check_whole
from sparkml_dist.mining.neighbors.blocks import Blocks
from sparkml_dist.mining.neighbors.search import nearest, nearest_in_cells
from sparkml_dist.mining.point_columns import PointColumns, point_matrix
from sparkml_dist.mining.table_model import TableModel
from sparkml_dist.params import param
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["METRICS", "NearestNeighborsModel"]

METRICS = ("euclidean", "cosine")

_SHARE = 8
#: Bytes of the candidates of a query, several hundred at a time.
_CANDIDATES = 4096


class NearestNeighborsModel(TableModel, HasFeaturesCol):
    """Finds the nearest of the fitted points.

    Attributes
    ----------
    numPoints : int
        Points that were fit.
    probes, numCells : int or None
        Cells that a search visits, and all; None for the exact method.
    recall : float
        Share of the true neighbours found, measured on a sample at the fit; 1 for the exact method.
    """

    numNeighbors: Any = param(
        "numNeighbors", "neighbours of each point (>= 1)", TypeConverters.toInt
    )
    distanceMeasure: Any = param("distanceMeasure", "euclidean or cosine", TypeConverters.toString)
    featuresCols: Any = param(
        "featuresCols",
        "numeric columns, by name or glob, in place of featuresCol",
        TypeConverters.toListString,
    )
    neighborsCol: Any = param("neighborsCol", "column for the neighbours", TypeConverters.toString)
    memoryPerTask: Any = param(
        "memoryPerTask", "memory of a task, like '512m'", TypeConverters.toString
    )

    _table_names: ClassVar[tuple[str, ...]] = ("points",)
    _defaults: ClassVar[dict[str, Any]] = {
        "numNeighbors": 10,
        "distanceMeasure": "euclidean",
        "featuresCol": "features",
        "neighborsCol": "neighbors",
        "memoryPerTask": "512m",
    }

    @property
    def numPoints(self) -> int:
        """Points that were fit."""
        return int(self.content["numPoints"])

    @property
    def numCells(self) -> int | None:
        """Number of cells of the approximate method."""
        return len(self.content["centres"]) if "centres" in self.content else None

    @property
    def probes(self) -> int | None:
        """Cells that a search visits."""
        return self.content.get("probes")

    @property
    def recall(self) -> float:
        """Share of the true neighbours found on a held-out sample."""
        return float(self.content.get("recall", 1.0))

    def _transform(self, dataset: DataFrame) -> DataFrame:
        """Add the nearest of the fitted points to each row.

        Parameters
        ----------
        dataset : pyspark.sql.DataFrame
            With the feature columns. Its partitions are searched in parallel.

        Returns
        -------
        pyspark.sql.DataFrame
            With neighborsCol, an array of (key, distance), nearest first: numNeighbors of them, or
            fewer where the cells that the approximate method visits hold fewer. A fitted point is
            its own nearest neighbour.

        Raises
        ------
        ConfigurationError
            ``invalid_param``.
        DataError
            ``column_not_found``, ``non_numeric_feature`` or ``too_few_rows``; from the tasks
            ``vector_length``, ``not_finite`` and ``zero_vector``.
        """
        k = self._value(self.numNeighbors)
        check_whole("numNeighbors", k)
        if k > self.numPoints:
            raise DataError(
                "too_few_rows",
                f"{self.numPoints:,} points are fitted, fewer than numNeighbors={k}.",
                "Lower numNeighbors.",
            )
        features = self._value(self.featuresCols) or [self._value(self.featuresCol)]
        x = PointColumns.of(dataset, None, features).column()
        assert self._home is not None, "the fit writes its points"
        home = self._home.content.child("points")
        memory = parse_size(self._value(self.memoryPerTask))
        width = self.content["width"]
        centres = self.content.get("centres")
        kind = self.tables["points"].schema["id"].dataType.simpleString()
        task = _Search(
            Blocks(home, self._table_files("points"), width, self.numPoints, memory // _SHARE),
            None if centres is None else np.array(centres),
            k,
            self.probes or 0,
            self._value(self.distanceMeasure) == "cosine",
            memory,
            self.content["taskCpus"],
            pa.string() if kind == "string" else pa.int64(),
        )

        udf = iterator_udf(task, f"array<struct<key: {kind}, distance: double>>")
        return dataset.withColumn(self._value(self.neighborsCol), udf(x))


@dataclass(frozen=True)
class _Search:
    """The search of a task, for its queries."""

    blocks: Blocks
    centres: npt.NDArray[np.float64] | None
    k: int
    probes: int
    cosine: bool
    memory: int
    task_cpus: int
    id_type: pa.DataType

    def __call__(self, batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
        with limit_threads(self.task_cpus):
            for together in self._gathered(batches):
                yield self._found(together)

    def _gathered(self, batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
        """Yield queries in batches of up to an eighth of the memory: each one reads all blocks."""
        per_row = 8 * self.blocks.width + 64 * self.k
        if self.centres is not None:
            per_row += _CANDIDATES + 2 * len(self.centres)  # and the cells to visit
        most = max(1, self.memory // _SHARE // per_row)
        return joined_batches(batches, most)

    def _found(self, queries: pa.Array) -> pa.Array:
        if not len(queries):
            return pa.array(
                [], pa.list_(pa.struct([("key", self.id_type), ("distance", pa.float64())]))
            )
        x = point_matrix(queries, self.blocks.width)
        if self.cosine:
            norms = np.linalg.norm(x, axis=1, keepdims=True)
            if (norms == 0).any():
                raise DataError(
                    "zero_vector", "The cosine of a zero vector is not defined.", "Drop that row."
                )
            x = x / norms
        if self.centres is None:
            squared, rows = nearest(x, self.blocks, self.k)
        else:
            squared, rows = nearest_in_cells(x, self.centres, self.blocks, self.k, self.probes)
        distance = squared / 2.0 if self.cosine else np.sqrt(squared)
        found = rows >= 0
        ids = self.blocks.take(rows, "ids")[found]
        pairs = pa.StructArray.from_arrays(
            [pa.array(ids, self.id_type), pa.array(distance[found])],
            ["key", "distance"],
        )
        offsets = np.concatenate([[0], np.cumsum(found.sum(axis=1))]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), pairs)
