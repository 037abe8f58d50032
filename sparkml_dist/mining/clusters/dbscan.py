"""DBSCAN, exact at any number of points."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from pyspark.ml.param import TypeConverters
from scipy.sparse.csgraph import connected_components

from sparkml_dist.cluster.progress import job_description
from sparkml_dist.mining.clusters.dbscan_model import DBSCANModel
from sparkml_dist.mining.clusters.parts import (
    CLUSTERED,
    EDGES,
    ROUTED,
    SAMPLE,
    Part,
    Parts,
    cut_task,
)
from sparkml_dist.mining.clusters.space_partition import SpacePartition
from sparkml_dist.mining.point_estimator import PointEstimator
from sparkml_dist.mining.point_survey import planned
from sparkml_dist.params import constructor, param
from sparkml_dist.persistence.workspace import empty_folder
from sparkml_dist.session import SessionInfo
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["DBSCAN"]

_logger = logging.getLogger(__name__)

_SLOTS_UNKNOWN = 8


class DBSCAN(PointEstimator):
    """Density-based clustering, exact: clusters are dense areas, points elsewhere are noise.

    Space is partitioned into boxes with about equally many points. A task gets the points of a box
    and those within `eps` of it. It finds the core points and their connected components; then
    components of neighbouring boxes that touch are merged. The core points, their clusters and the
    noise are those of the definition, whatever the number of boxes. A border point goes to the
    cluster of the nearest core point.

    Parameters
    ----------
    featuresCol, featuresCols : str, list of str
        Columns of coordinates; every numeric column when neither is given.
    eps : float
        Radius of a neighbourhood, in Euclidean distance (> 0).
    minPoints : int, default=5
        Points in the neighbourhood of a core point, itself included.
    numPartitions : int, optional
        Greatest number of boxes; follows from memory and task slots when not set.
    memoryPerTask : str, default="512m"
        Memory of a task's Python worker; boxes are made small enough for it where `eps` allows.
    modelDir : str, optional
        Empty folder that the driver and all workers see, for the model: `load_model` opens it. A
        temporary one for its core points when not set.
    predictionCol : str, default="prediction"
        Cluster from 0, by descending number of core points; -1 for noise.

    References
    ----------
    Ester, Kriegel, Sander, Xu (1996), A density-based algorithm for discovering clusters. Gan,
    Tao (2015), DBSCAN Revisited (the grid of cells, up to three coordinates).

    Examples
    --------
    >>> line = spark.createDataFrame([(x,) for x in (0.0, 0.1, 0.2, 5.0, 5.1, 9.0)], ["x"])
    >>> clusters = DBSCAN(eps=0.3, minPoints=2).fit(line).transform(line)
    >>> [row["prediction"] for row in clusters.orderBy("x").collect()]
    [0, 0, 0, 1, 1, -1]
    """

    eps: Any = param("eps", "radius of a neighbourhood (> 0)", TypeConverters.toFloat)
    minPoints: Any = param(
        "minPoints",
        "points within eps of a core point, itself included (>= 1)",
        TypeConverters.toInt,
    )
    numPartitions: Any = param(
        "numPartitions", "greatest number of boxes of space (>= 1)", TypeConverters.toInt
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
        eps: float | None = None,
        minPoints: int = 5,
        numPartitions: int | None = None,
        memoryPerTask: str = "512m",
        modelDir: str | None = None,
        featuresCols: Sequence[str] | None = None,
        featuresCol: str = "features",
        predictionCol: str = "prediction",
    ) -> None: ...

    def _fit(self, dataset: DataFrame) -> DBSCANModel:
        self._check()
        columns = self._columns(dataset)
        spark = dataset.sparkSession
        folder = empty_folder(spark, self._value(self.modelDir), "dbscan", "modelDir")
        folder.create()
        info = SessionInfo.of(spark)
        eps, least = self.getOrDefault(self.eps), self.getOrDefault(self.minPoints)
        memory = parse_size(self.getOrDefault(self.memoryPerTask), "memoryPerTask")
        seconds: dict[str, float] = {}
        start = time.perf_counter()

        def lap(name: str) -> None:
            nonlocal start
            now = time.perf_counter()
            seconds[name], start = round(now - start, 3), now

        points = columns.points(dataset)
        with job_description(spark, "sparkml_dist: partition space"):
            cutting = partial(
                cut_task,
                columns,
                eps,
                memory,
                info.slots or _SLOTS_UNKNOWN,
                self._value(self.numPartitions),
            )
            plan = planned(points, cutting, sample=SAMPLE)
        lap("cut")
        cut = SpacePartition.from_dict(plan["cut"])
        if cut.parts < plan["wanted"]:
            _logger.warning(
                "memoryPerTask asks for %d boxes, but eps allows only %d; tasks may need "
                "more memory",
                plan["wanted"],
                cut.parts,
            )
        parts = Parts(cut, eps, least, folder, info.task_cpus)
        try:
            with job_description(spark, "sparkml_dist: cluster the boxes"):
                placed = points.mapInArrow(parts.route, ROUTED)
                placed = placed.repartitionById(cut.parts, "part")
                table = placed.mapInArrow(parts.cluster, CLUSTERED).toArrow()
            lap("cluster")
            found = {
                row["part"]: Part(
                    row["rows"],
                    row["cores"],
                    np.frombuffer(row["sizes"], np.int64),
                    np.frombuffer(row["firsts"], np.float64).reshape(-1, plan["width"]),
                    row["peak_rss"],
                )
                for row in table.to_pylist()
            }
            numbers = [len(found[p].sizes) if p in found else 0 for p in range(cut.parts)]
            offsets = np.append(0, np.cumsum(numbers)).astype(np.int64)
            edges = np.empty((0, 2), np.int64)
            if cut.parts > 1:
                with job_description(spark, "sparkml_dist: merge clusters across boxes"):
                    rows = (
                        spark.range(0, cut.parts, 1, cut.parts)
                        .mapInArrow(partial(parts.touching, offsets), EDGES)
                        .toArrow()
                    )
                edges = np.concatenate(
                    [np.frombuffer(v.as_buffer(), np.int64) for v in rows.column("edges")]
                ).reshape(-1, 2)
            lap("join")
        except BaseException:
            folder.delete()
            raise
        labels, sizes = _clusters([found[p] for p in sorted(found)], edges, plan["width"])
        model = DBSCANModel(
            columns=columns,
            content={
                "width": plan["width"],
                "eps": eps,
                "cut": cut.to_dict(),
                "parts": [p for p in range(cut.parts) if p in found],
            },
            arrays={"clusters": labels, "offsets": offsets, "sizes": sizes},
            summary={
                "rows": plan["rows"],
                "core_points": sum(part.cores for part in found.values()),
                "clusters": len(sizes),
                "boxes": cut.parts,
                "seconds": seconds,
                "peak_worker_rss": max((p.peak_rss for p in found.values()), default=0),
            },
        )
        model.folder = folder
        model._resetUid(self.uid)
        fitted: DBSCANModel = self._copyValues(model)
        if self.isSet(self.modelDir):
            fitted._save_in_place()
        return fitted

    def _check(self) -> None:
        eps = self._value(self.eps)
        self._require(self.eps, eps is not None and 0 < eps < float("inf"), "a number above 0")
        self._require(self.minPoints, self.getOrDefault(self.minPoints) >= 1, "at least 1")
        parts = self._value(self.numPartitions)
        self._require(self.numPartitions, parts is None or parts >= 1, "at least 1")
        parse_size(self.getOrDefault(self.memoryPerTask), "memoryPerTask")


def _clusters(
    parts: list[Part], edges: npt.NDArray[np.int64], width: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Merge components; return each one's cluster, and each cluster's number of core points.

    Clusters are numbered by descending size; among equals, the one with the lowest coordinates
    comes first. So numbers do not depend on the boxes.
    """
    sizes = np.concatenate([np.empty(0, np.int64), *(p.sizes for p in parts)])
    firsts = np.concatenate([np.empty((0, width)), *(p.firsts for p in parts)])
    if not len(sizes):
        return np.empty(0, np.int32), sizes
    graph = sp.coo_matrix(
        (np.ones(len(edges), bool), (edges[:, 0], edges[:, 1])), shape=(len(sizes), len(sizes))
    )
    number, component = connected_components(graph, directed=False)
    total = np.zeros(number, np.int64)
    np.add.at(total, component, sizes)
    by_first = np.lexsort((*firsts.T[::-1], component))
    lead = firsts[by_first[np.append(True, np.diff(component[by_first]) > 0)]]
    order = np.lexsort((*lead.T[::-1], -total))
    rank = np.empty(number, np.int32)
    rank[order] = np.arange(number, dtype=np.int32)
    return rank[component], total[order]
