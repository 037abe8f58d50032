"""The local outlier factor, exact for any number of points."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.progress import job_description
from sparkml_dist.errors import DataError
from sparkml_dist.mining.outliers.lof_model import LocalOutlierFactorModel
from sparkml_dist.mining.outliers.lof_tasks import (
    DONE,
    ROUTED,
    SAMPLE,
    WORKED,
    WRITTEN,
    BlockTask,
    plan_task,
    route,
    write_block,
)
from sparkml_dist.mining.outliers.median_cut import MedianCut
from sparkml_dist.mining.outliers.outlier_params import OutlierEstimator
from sparkml_dist.mining.outliers.point_blocks import PointBlocks, block_file
from sparkml_dist.mining.point_survey import planned
from sparkml_dist.params import constructor, param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.workspace import empty_folder
from sparkml_dist.session import SessionInfo
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["LocalOutlierFactor"]

_logger = logging.getLogger(__name__)

_SLOTS_UNKNOWN = 8
_THRESHOLD = 1.5
_STEPS = ("search", "densities", "factors")


class LocalOutlierFactor(OutlierEstimator):
    """Finds rows in sparser regions than their neighbours. Exact.

    Duplicates of a point are counted, and the distinct points are partitioned into blocks of nearby
    points that fit a task's memory. A task searches the neighbours of one block's points in one
    block after another, from the nearest on, and skips blocks that are too far away. Densities and
    factors each take one more pass over the neighbours. The result is that of the definition with
    exactly `numNeighbors` neighbours, as in scikit-learn, whatever the number of blocks.

    Parameters
    ----------
    featuresCol, featuresCols : str, list of str
        Columns of coordinates; every numeric column when neither is given.
    numNeighbors : int, default=20
        Neighbours that a row is compared with; at most one less than the number of rows.
    contamination : float, optional
        Share of the training rows to label as outliers, in (0, 0.5]. When not set, factors above
        1.5 are outliers.
    numPartitions : int, optional
        Least number of blocks, rounded up to a power of two; follows from memory and task slots
        when not set.
    memoryPerTask : str, default="512m"
        Memory of a task's Python worker; blocks are made small enough for it.
    modelDir : str, optional
        Empty folder that the driver and all workers see, for the model: `load_model` opens it. A
        temporary one for its points when not set.
    predictionCol, scoreCol : str
        1.0 for outliers and 0.0 for others; the factor: about 1 for inliers, higher for more
        anomalous rows.

    References
    ----------
    Breunig, Kriegel, Ng, Sander (2000), LOF: Identifying Density-Based Local Outliers. That
    definition includes all points at the k-distance; here they are exactly k, chosen by a hash of
    their coordinates. Duplicates are neighbours of each other.

    Examples
    --------
    >>> model = LocalOutlierFactor(numNeighbors=20).fit(iris)
    >>> model.scores().orderBy("outlierScore", ascending=False).first()["outlierScore"] > 1.5
    True
    """

    numNeighbors: Any = param(
        "numNeighbors", "neighbours that a row is compared with (>= 1)", TypeConverters.toInt
    )
    numPartitions: Any = param(
        "numPartitions", "least number of blocks of points (>= 1)", TypeConverters.toInt
    )
    memoryPerTask: Any = param(
        "memoryPerTask", "memory of a task's Python worker, like '512m'", TypeConverters.toString
    )
    modelDir: Any = param(
        "modelDir",
        "empty folder, seen by all workers, for the model; a temporary one when not set",
        TypeConverters.toString,
    )

    @constructor
    def __init__(
        self,
        *,
        numNeighbors: int = 20,
        numPartitions: int | None = None,
        memoryPerTask: str = "512m",
        modelDir: str | None = None,
        scoreCol: str = "outlierScore",
        contamination: float | None = None,
        featuresCols: Sequence[str] | None = None,
        featuresCol: str = "features",
        predictionCol: str = "prediction",
    ) -> None: ...

    def _fit(self, dataset: DataFrame) -> LocalOutlierFactorModel:
        self._check()
        columns = self._columns(dataset)
        spark = dataset.sparkSession
        folder = empty_folder(spark, self._value(self.modelDir), "lof", "modelDir")
        info = SessionInfo.of(spark)
        memory = parse_size(self.getOrDefault(self.memoryPerTask), "memoryPerTask")
        wanted = self.getOrDefault(self.numNeighbors)
        start = time.perf_counter()
        points = columns.points(dataset)
        with job_description(spark, "sparkml_dist: survey the points"):
            planning = partial(
                plan_task,
                columns,
                wanted,
                memory,
                info.slots or _SLOTS_UNKNOWN,
                self._value(self.numPartitions),
            )
            plan = planned(points, planning, sample=SAMPLE)
        if plan["rows"] < 2:
            raise DataError(
                "too_few_rows", "A single row has no neighbours to be compared with.", "Add rows."
            )
        k = plan["k"]
        if k < wanted:
            _logger.warning("there are %d rows; each is compared with all %d others", k + 1, k)
        folder.create()
        try:
            blocks = self._blocks(points, plan, folder)
            peak = self._work(spark, BlockTask(blocks, k, info.task_cpus))
        except BaseException:
            folder.delete()
            raise
        model = LocalOutlierFactorModel(
            columns=columns,
            content={"width": plan["width"], "neighbors": k, "threshold": _THRESHOLD},
            arrays={"offsets": blocks.offsets, "low": blocks.low, "high": blocks.high},
            summary={
                "rows": plan["rows"],
                "distinct_points": blocks.n,
                "blocks": int((np.diff(blocks.offsets) > 0).sum()),
                "peak_worker_rss": peak,
            },
        )
        model.folder, model._trained_on = folder, dataset
        fitted: LocalOutlierFactorModel = self._with_threshold(model, dataset)
        fitted.summary["seconds"] = round(time.perf_counter() - start, 3)
        if self.isSet(self.modelDir):
            fitted._save_in_place()
        return fitted

    def _blocks(self, points: DataFrame, plan: dict[str, Any], folder: Folder) -> PointBlocks:
        """Write the distinct points into blocks, and return these."""
        from pyspark.sql import functions as F

        cut, width = MedianCut.from_dict(plan["cut"]), plan["width"]
        with job_description(points.sparkSession, "sparkml_dist: partition points into blocks"):
            distinct = points.groupBy("point").agg(F.count("*").alias("times"))
            routed = distinct.mapInArrow(partial(route, cut, width), ROUTED)
            placed = routed.repartitionById(cut.blocks, "block")
            rows = placed.mapInArrow(partial(write_block, folder, width), WRITTEN).collect()
        sizes = np.zeros(cut.blocks, np.int64)
        low, high = np.zeros((2, cut.blocks, width))
        for row in rows:
            block = row["block"]
            sizes[block] = row["size"]
            low[block], high[block] = (np.frombuffer(row[n], np.float64) for n in ("low", "high"))
        return PointBlocks(folder, np.append(0, np.cumsum(sizes)), low, high)

    def _work(self, spark: Any, task: BlockTask) -> int:
        """Run the steps for all blocks; return the peak memory of a worker."""
        number = len(task.blocks.low)
        # A step needs the previous one of all blocks; with one block, all steps run in one job.
        rounds = [_STEPS] if number == 1 else [(step,) for step in _STEPS]
        peak = 0
        for steps in rounds:
            with job_description(spark, f"sparkml_dist: local outlier factor, {steps[0]}"):
                numbers = spark.range(0, number, 1, number)
                done = numbers.mapInArrow(partial(task.run, steps), DONE).collect()
            peak = max(peak, *(row["peak_rss"] for row in done))
        for block in np.flatnonzero(np.diff(task.blocks.offsets)):
            for name in WORKED:
                task.blocks.folder.delete_file(block_file(name, int(block)))
        return peak

    def _check(self) -> None:
        super()._check()
        k = self.getOrDefault(self.numNeighbors)
        self._require(self.numNeighbors, k >= 1, "at least 1")
        parts = self._value(self.numPartitions)
        self._require(self.numPartitions, parts is None or parts >= 1, "at least 1")
        parse_size(self.getOrDefault(self.memoryPerTask), "memoryPerTask")
