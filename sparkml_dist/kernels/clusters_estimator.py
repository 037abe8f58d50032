"""Base of the estimators of clusters in the space of a kernel."""

from __future__ import annotations

import time
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasPredictionCol

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.kernels.clusters.embedding import Embedding
from sparkml_dist.kernels.clusters.lloyd import whole_k_means
from sparkml_dist.kernels.clusters_model import KernelClustersModel
from sparkml_dist.kernels.feature_estimator import RowsEstimator
from sparkml_dist.kernels.kernel_params import HasCenters, check_number
from sparkml_dist.kernels.nystroem_map import NystroemMap
from sparkml_dist.kernels.row_source import RowSource
from sparkml_dist.kernels.settings import centered
from sparkml_dist.params import param

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["KernelClustering"]

_LEAST_SAMPLE = 2000
_OF_A_CLUSTER = 100


class KernelClustering(RowsEstimator, HasCenters, HasPredictionCol):
    """Base of the estimators of clusters; a subclass chooses the embedding."""

    k: Any = param("k", "number of clusters (>= 1)", TypeConverters.toInt)
    maxIter: Any = param("maxIter", "most passes of k-means (>= 1)", TypeConverters.toInt)
    tol: Any = param(
        "tol", "relative decrease of the inertia at which to stop (>= 0)", TypeConverters.toFloat
    )

    @abstractmethod
    def _embedding(self, source: RowSource, features: NystroemMap) -> Embedding:
        """Return the coordinates in which clusters are sought."""

    def _check(self) -> None:
        """Raise `ConfigurationError` for invalid Params."""
        self._kernel_settings()
        self._center_settings()
        check_number("k", self.getOrDefault(self.k), 1)
        check_number("maxIter", self.getOrDefault(self.maxIter), 1)
        check_number("tol", self.getOrDefault(self.tol), 0)

    def _fit(self, dataset: DataFrame | PartitionedDataset) -> KernelClustersModel:
        started = time.perf_counter()
        self._check()
        seed, k = self.getOrDefault(self.seed), self.getOrDefault(self.k)
        source = self._rows(dataset)
        found = centered(source, self._kernel_settings(), self._center_settings(), seed)
        embedding = self._embedding(source, NystroemMap.of(found))
        clusters = whole_k_means(
            source,
            embedding,
            k,
            seed=seed,
            sample=max(_LEAST_SAMPLE, _OF_A_CLUSTER * k),
            max_iter=self.getOrDefault(self.maxIter),
            tol=self.getOrDefault(self.tol),
        )
        arrays = {
            "centers": found.centers,
            "whitening": embedding.features.whitening,
            "clusters": clusters.centers,
            "sizes": clusters.sizes,
        }
        if embedding.directions is not None:
            arrays |= {"total": embedding.total, "directions": embedding.directions}
        summary = {
            "inertia": clusters.inertia,
            "iterations": clusters.iterations,
            "converged": bool(clusters.converged),
            "centers": len(found.centers),
            "length_scale": found.kernel.length_scale,
            "seconds": round(time.perf_counter() - started, 3),
        }
        model = KernelClustersModel(source.schema, found.kernel, found.scaling, arrays, summary)
        model._set(predictionCol=self.getOrDefault(self.predictionCol))
        return model
