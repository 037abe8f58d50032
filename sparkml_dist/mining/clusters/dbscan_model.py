"""Fitted DBSCAN clusters: core points by box, which label new rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.iterator_udf import iterator_udf
from sparkml_dist.dataset.column_names import with_outputs
from sparkml_dist.html.summary import Row
from sparkml_dist.mining.arrays_model import ArraysModel, FilesBeside
from sparkml_dist.mining.clusters.cluster_plots import cluster_rows, plot_clusters
from sparkml_dist.mining.clusters.parts import cores_near, part_file
from sparkml_dist.mining.clusters.space_partition import SpacePartition
from sparkml_dist.mining.point_columns import point_matrix
from sparkml_dist.models.scoring import loaded
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pyspark.sql import DataFrame

__all__ = ["DBSCANModel"]

_KINDS = ("cores", "labels", "border-cores", "border-labels")
# Nearest core points that are compared, so that ties are found.
_TIES = 8


class DBSCANModel(FilesBeside, ArraysModel):
    """The clusters of a fitted `DBSCAN`.

    ``transform`` adds `predictionCol` (int): the cluster of the nearest core point within eps, the
    lower one of two that are equally near; -1 where there is none. For the training rows these are
    the labels of DBSCAN.

    Attributes
    ----------
    folder : Folder
        Folder of the core points.
    """

    _names = ("clusters", "offsets", "sizes")

    @property
    def numClusters(self) -> int:
        """Number of clusters."""
        return len(self.arrays["sizes"])

    @property
    def clusterSizes(self) -> list[int]:
        """Number of core points of each cluster, descending."""
        return [int(n) for n in self.arrays["sizes"]]

    def _files(self) -> list[str]:
        return [part_file(kind, part) for part in self.content["parts"] for kind in _KINDS]

    def _transform(self, dataset: DataFrame) -> DataFrame:
        from pyspark.sql import functions as F

        self.columns.check(dataset)
        cut = SpacePartition.from_dict(self.content["cut"])
        label = _Labels(
            self.folder,
            cut,
            self.content["eps"],
            self.arrays["clusters"],
            self.arrays["offsets"],
            self.uid,
        )
        part, found = "_sparkml_dist_part", "_sparkml_dist_label"
        home = iterator_udf(partial(map, label.home), "int")
        placed = dataset.withColumn(part, home(self.columns.column()))
        if cut.parts > 1:
            # Rows of one box go together, so that a task holds the core points of one box at a
            # time.
            placed = placed.repartitionById(cut.parts, part)
        clusters = iterator_udf(partial(map, label.clusters_of), "int")
        point = self.columns.column()
        labelled = placed.select(
            "*", clusters(F.struct(F.col(part), point.alias("point"))).alias(found)
        )
        name = self.getOrDefault("predictionCol")
        return with_outputs(labelled, {name: F.col(found)}, temporary=[part, found])

    def _own_rows(self) -> Iterator[Row]:
        yield from cluster_rows(self.clusterSizes, "core points")

    def plot(self) -> Figure:
        """Draw the clusters' sizes.

        Returns
        -------
        matplotlib.figure.Figure
        """
        return plot_clusters(self.clusterSizes, "core points")

    def __repr__(self) -> str:
        return (
            f"DBSCANModel({self.numClusters:,} clusters, eps {self.content['eps']:g}, "
            f"{self.numFeatures} features)"
        )


class _Labels:
    """Labels points in workers, to which it is sent pickled."""

    def __init__(
        self,
        folder: Folder,
        cut: SpacePartition,
        eps: float,
        clusters: npt.NDArray[np.int32],
        offsets: npt.NDArray[np.int64],
        uid: str,
    ) -> None:
        self._folder, self._cut, self._eps = folder, cut, eps
        self._clusters, self._offsets = clusters, offsets
        self._key = f"{uid} {folder.location}"

    def home(self, batch: pa.Array) -> pa.Array:
        """Return the box of each point."""
        return pa.array(self._cut.home(point_matrix(batch, self._cut.low.shape[1])))

    def clusters_of(self, batch: pa.Array) -> pa.Array:
        """Return the cluster of each (box, point)."""
        parts = batch.field(0).to_numpy(zero_copy_only=False)
        points = point_matrix(batch.field(1), self._cut.low.shape[1])
        found = np.full(len(points), -1, np.int32)
        for part in np.unique(parts):
            own = np.flatnonzero(parts == part)
            found[own] = self._nearest(int(part), points[own])
        return pa.array(found)

    def _nearest(self, part: int, points: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
        tree, cores, clusters = loaded(f"{self._key} {part}", lambda: self._load(part))
        found = np.full(len(points), -1, np.int32)
        if not len(cores):
            return found
        bound = self._eps * (1 + 1e-9)
        distance, at = tree.query(points, distance_upper_bound=bound)
        same = distance == 0
        found[same] = clusters[at[same]]
        rest = np.flatnonzero(np.isfinite(distance) & ~same)
        if len(rest):
            ties = min(_TIES, len(cores))
            _, at = tree.query(points[rest], k=ties, distance_upper_bound=bound)
            at = at.reshape(len(rest), ties)
            known = at < len(cores)
            at = np.where(known, at, 0)
            square = ((cores[at] - points[rest][:, None, :]) ** 2).sum(axis=2)
            square = np.where(known, square, np.inf)
            least = square.min(axis=1, keepdims=True)
            nearest = np.where(square == least, clusters[at], np.iinfo(np.int32).max).min(axis=1)
            found[rest] = np.where(least[:, 0] <= self._eps * self._eps, nearest, -1)
        return found

    def _load(self, part: int) -> tuple[Any, npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        from scipy.spatial import cKDTree

        reach = self._eps * (1 + 1e-9)
        cores, clusters = cores_near(
            self._folder, self._cut, part, reach, self._clusters, self._offsets
        )
        return cKDTree(cores, balanced_tree=False) if len(cores) else None, cores, clusters
