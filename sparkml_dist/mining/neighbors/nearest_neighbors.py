"""Nearest neighbours among points that exceed one machine's memory, exact or approximate."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasFeaturesCol, HasSeed

from sparkml_dist.cluster.workers import check_workers
from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.mining.estimator import MiningEstimator, check_column, check_whole
from sparkml_dist.mining.neighbors.blocks import Blocks
from sparkml_dist.mining.neighbors.cells import AssignCells, probe_curve, sample, train_centres
from sparkml_dist.mining.neighbors.neighbors_model import METRICS, NearestNeighborsModel
from sparkml_dist.mining.point_columns import PointColumns
from sparkml_dist.mining.point_survey import survey
from sparkml_dist.params import constructor, param
from sparkml_dist.persistence.saved_folder import SavedFolder
from sparkml_dist.persistence.workspace import empty_folder
from sparkml_dist.session import SessionInfo
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["NearestNeighbors"]

_logger = logging.getLogger(__name__)

_METHODS = ("exact", "approximate")
#: Share of a task's memory for the points of one block; the search needs the rest.
_BLOCK_SHARE = 8
_SAMPLE = 1024
_MOST_CELLS = 8192


class NearestNeighbors(MiningEstimator, HasFeaturesCol, HasSeed):
    """The k nearest of the fitted points, for any points.

    `fit` writes the points in blocks that fit a task's memory. The exact method compares every
    query with every block. The approximate one partitions space into cells around k-means centres
    (an inverted file; Jégou, Douze, Schmid 2011) and compares a query with the points of the
    nearest cells only. The fit chooses their number such that, on a sample of the points, the share
    of true neighbours found reaches `recall`. The recall on another sample is the model's `recall`.

    Parameters
    ----------
    numNeighbors : int, default=10
        Neighbours of each point.
    method : {"exact", "approximate"}, default="exact"
    distanceMeasure : {"euclidean", "cosine"}, default="euclidean"
    recall : float, default=0.95
        Share of the true neighbours that the approximate method should find, in (0, 1).
    numCells : int, optional
        Number of cells of the approximate method; 4·√n, at most 8192, when not set.
    featuresCol : str, default="features"
        An array of numbers or an ML vector.
    featuresCols : list of str, optional
        Numeric columns, in place of featuresCol.
    keyCol : str, default="id"
        Column that identifies the fitted points: whole numbers or strings.
    modelDir : str, optional
        Folder for the points that the driver and all workers see; a temporary one when not set.
    memoryPerTask : str, default="512m"
        Memory of a task beyond its interpreter.
    seed : int, default=0

    Examples
    --------
    >>> points = spark.createDataFrame(
    ...     [(1, [0.0, 0.0]), (2, [0.0, 1.0]), (3, [5.0, 5.0])], "id int, features array<double>"
    ... )
    >>> model = NearestNeighbors(numNeighbors=2).fit(points)
    >>> model.transform(points).where("id = 1").first()["neighbors"]
    [Row(key=1, distance=0.0), Row(key=2, distance=1.0)]
    """

    numNeighbors: Any = param(
        "numNeighbors", "neighbours of each point (>= 1)", TypeConverters.toInt
    )
    method: Any = param("method", "exact or approximate", TypeConverters.toString)
    distanceMeasure: Any = param("distanceMeasure", "euclidean or cosine", TypeConverters.toString)
    recall: Any = param(
        "recall", "share of true neighbours the approximate method finds", TypeConverters.toFloat
    )
    numCells: Any = param("numCells", "cells of the approximate method", TypeConverters.toInt)
    featuresCols: Any = param(
        "featuresCols",
        "numeric columns, by name or glob, in place of featuresCol",
        TypeConverters.toListString,
    )
    keyCol: Any = param("keyCol", "column that identifies a point", TypeConverters.toString)
    modelDir: Any = param(
        "modelDir",
        "folder for the points that all workers see; a temporary one when not set",
        TypeConverters.toString,
    )
    memoryPerTask: Any = param(
        "memoryPerTask", "memory of a task, like '512m'", TypeConverters.toString
    )

    @constructor
    def __init__(
        self,
        *,
        numNeighbors: int = 10,
        method: str = "exact",
        distanceMeasure: str = "euclidean",
        recall: float = 0.95,
        numCells: int | None = None,
        featuresCols: Sequence[str] | None = None,
        keyCol: str = "id",
        modelDir: str | None = None,
        memoryPerTask: str = "512m",
        featuresCol: str = "features",
        seed: int = 0,
    ) -> None: ...

    def _fit(self, dataset: DataFrame) -> NearestNeighborsModel:
        """Write the points of `dataset` into blocks, which tasks search.

        Returns
        -------
        NearestNeighborsModel

        Raises
        ------
        ConfigurationError
            ``invalid_param`` or ``no_work_dir``.
        DataError
            ``column_not_found``, ``non_numeric_feature``, ``column_type``, ``empty_data``,
            ``not_finite``, ``vector_length``, ``zero_vector`` or ``too_few_rows``.
        StorageError
            ``output_exists``.
        """
        self._check_params()
        spark = dataset.sparkSession
        features = self._value(self.featuresCols) or [self._value(self.featuresCol)]
        columns = PointColumns.of(dataset, None, features)
        points = dataset.select(self._id(dataset), columns.column().alias("x"))
        folder = empty_folder(spark, self._value(self.modelDir), "neighbors", "modelDir")
        check_workers(spark)
        cosine = self._value(self.distanceMeasure) == "cosine"
        known = survey(points.select("x"))
        known.check(columns, nonzero=cosine)
        n, width = known.rows, known.widest
        k = self._value(self.numNeighbors)
        if n < k:
            raise DataError(
                "too_few_rows",
                f"{n:,} points are fewer than numNeighbors={k}.",
                "Lower numNeighbors.",
            )
        if cosine:
            points = points.withColumn("x", _normalised())
        info = SessionInfo.of(spark)
        memory = parse_size(self._value(self.memoryPerTask))
        n_blocks = max(1, math.ceil(n * width * 8 * _BLOCK_SHARE / memory))
        content: dict[str, Any] = {"numPoints": n, "width": width, "taskCpus": info.task_cpus}
        exact = self._value(self.method) == "exact"
        centres = None if exact else self._centres(points, n, width, memory, info.task_cpus)
        placed = _placed(points, centres, n_blocks, info.task_cpus)
        model = NearestNeighborsModel(tables={"points": placed}, content=content)
        self._copyValues(model)
        try:
            model.files = tuple(model._write_files(folder))
            if centres is not None:
                names = model._table_files("points")
                blocks = Blocks(folder.child("points"), names, width, n, memory // _BLOCK_SHARE)
                content |= self._tuned(points, centres, blocks, info)
            model._save_manifest(SavedFolder(folder))
        except BaseException:
            folder.delete()
            raise
        loaded = self._copyValues(NearestNeighborsModel.load(folder.location))
        if self.isSet(self.featuresCols):  # a glob could select more columns of new rows
            loaded.setParams(featuresCols=list(columns.names))
        return loaded

    def _centres(
        self, points: DataFrame, n: int, width: int, memory: int, task_cpus: int
    ) -> npt.NDArray[np.float64]:
        default = min(_MOST_CELLS, round(4 * math.sqrt(n)))
        n_cells = min(n, self._value(self.numCells) or default)
        most = max(n_cells, memory // (64 * width))
        return train_centres(points, n, n_cells, most, self._value(self.seed), task_cpus)

    def _tuned(
        self,
        points: DataFrame,
        centres: npt.NDArray[np.float64],
        blocks: Blocks,
        info: SessionInfo,
    ) -> dict[str, Any]:
        """Choose the number of cells to visit; return the model's content."""
        seed = self._value(self.seed)
        share = min(1.0, _SAMPLE / blocks.n)
        queries = sample(points, share, seed, 2).repartition(info.slots or 8)
        curve = probe_curve(
            queries, centres, blocks, self._value(self.numNeighbors), info.task_cpus
        )
        probes = curve.probes_for(min(0.999, self._value(self.recall) + 0.005))
        recall = curve.recall(probes)
        _logger.info("a search visits %d of %d cells: recall %.4f", probes, len(centres), recall)
        return {"centres": centres.tolist(), "probes": probes, "recall": recall}

    def _check_params(self) -> None:
        check_whole("numNeighbors", self._value(self.numNeighbors))
        check_whole("numCells", self._value(self.numCells))
        for name, known in (("method", _METHODS), ("distanceMeasure", METRICS)):
            value = self._value(self.getParam(name))
            if value not in known:
                raise ConfigurationError(
                    "invalid_param",
                    f"{name} must be one of {', '.join(known)}. Got {value!r}."
                    f"{nearest(value, known)}",
                )
        recall = self._value(self.recall)
        if not 0 < recall < 1:
            raise ConfigurationError(
                "invalid_param",
                f"recall must be in (0, 1). Got {recall!r}.",
                "method='exact' finds every neighbour.",
            )
        parse_size(self._value(self.memoryPerTask), "memoryPerTask")

    def _id(self, df: DataFrame) -> Column:
        from pyspark.sql.types import IntegralType, StringType

        name = self._value(self.keyCol)
        kind = check_column(df, name, "id")
        if isinstance(kind, IntegralType):
            return named_column(name).cast("long").alias("id")
        if isinstance(kind, StringType):
            return named_column(name).alias("id")
        raise DataError(
            "column_type",
            f"The column {name!r} must hold whole numbers or strings. Got {kind.simpleString()}.",
            "Cast it to a string.",
        )


def _normalised() -> Column:
    from pyspark.sql import functions as F

    norm = F.sqrt(F.aggregate("x", F.lit(0.0), lambda total, v: total + v * v))
    return F.transform("x", lambda v: v / norm)


def _placed(
    points: DataFrame, centres: npt.NDArray[np.float64] | None, n_blocks: int, task_cpus: int
) -> DataFrame:
    """Return id, x and cell, one block per partition; neighbouring cells share blocks."""
    from pyspark.sql import functions as F

    if centres is None:
        return points.withColumn("cell", F.lit(0)).repartition(n_blocks)
    kind = points.schema["id"].dataType.simpleString()
    assigned = points.mapInArrow(
        AssignCells(centres, task_cpus), f"id {kind}, x array<double>, cell int"
    )
    block = F.floor(F.col("cell") * F.lit(n_blocks) / F.lit(len(centres))).cast("int")
    return assigned.repartitionById(n_blocks, block).sortWithinPartitions("cell")
