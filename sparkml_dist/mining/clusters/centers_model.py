"""Clusters given by centers: a row belongs to the nearest one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.iterator_udf import iterator_udf
from sparkml_dist.dataset.column_names import with_output
from sparkml_dist.html.summary import Row
from sparkml_dist.mining.arrays_model import ArraysModel
from sparkml_dist.mining.clusters.cluster_plots import cluster_rows, plot_clusters, plot_scores
from sparkml_dist.mining.clusters.nearest_center import nearest_centers
from sparkml_dist.mining.point_columns import point_matrix
from sparkml_dist.models.loading import Saved
from sparkml_dist.persistence.arrays import check_array

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pyspark.sql import DataFrame

__all__ = ["CentersModel"]


class CentersModel(ArraysModel):
    """The model of `KMeans`, `MiniBatchKMeans` and `KMedoids`.

    ``transform`` adds `predictionCol` (int): the number of the nearest center, from 0. Centers are
    numbered by the training rows of their clusters, the largest cluster first.
    """

    def _read_files(self, saved: Saved) -> None:
        super()._read_files(saved)
        check_array(self.arrays, "centers", (None, self.numFeatures))
        check_array(self.arrays, "sizes", (self.numClusters,))

    @property
    def clusterCenters(self) -> npt.NDArray[np.float64]:
        """The centers, shape (k, d)."""
        return np.asarray(self.arrays["centers"])

    @property
    def numClusters(self) -> int:
        """Number of clusters."""
        return len(self.arrays["centers"])

    @property
    def clusterSizes(self) -> list[int]:
        """Number of training rows of each cluster, descending."""
        return [int(n) for n in self.arrays["sizes"]]

    def predict(self, rows: Any) -> npt.NDArray[np.int64]:
        """Return the clusters of rows in memory, shape (n, d), without Spark."""
        points = np.asarray(rows, np.float64)
        return nearest_centers(points, self.clusterCenters, self.content["metric"])[0]

    def _transform(self, dataset: DataFrame) -> DataFrame:
        self.columns.check(dataset)
        centers, metric, width = self.clusterCenters, self.content["metric"], self.numFeatures

        def label(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
            for batch in batches:
                found, _ = nearest_centers(point_matrix(batch, width), centers, metric)
                yield pa.array(found, pa.int32())

        udf = iterator_udf(label, "int")
        return with_output(dataset, self.getOrDefault("predictionCol"), udf(self.columns.column()))

    def _own_rows(self) -> Iterator[Row]:
        yield from cluster_rows(self.clusterSizes, "rows")

    def plot(self) -> Figure:
        """Draw the silhouette by number of clusters, if several were tried, or the clusters' sizes.

        Returns
        -------
        matplotlib.figure.Figure
        """
        scores = self.summary.get("scores") or []
        tried = [s for s in scores if s.get("silhouette") is not None]
        if len(tried) > 1:
            return plot_scores(tried)
        return plot_clusters(self.clusterSizes, "training rows")

    def __repr__(self) -> str:
        return f"CentersModel({self.numClusters:,} clusters, {self.numFeatures} features)"
