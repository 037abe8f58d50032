"""Spectral clustering of any number of rows, over centres."""

from __future__ import annotations

from collections.abc import Sequence

from sparkml_dist.kernels.clusters.embedding import (
    Embedding,
    degree_sums,
    graph_sums,
    spectral_embedding,
)
from sparkml_dist.kernels.clusters_estimator import KernelClustering
from sparkml_dist.kernels.nystroem_map import NystroemMap
from sparkml_dist.kernels.row_source import RowSource
from sparkml_dist.params import constructor

__all__ = ["SpectralClustering"]


class SpectralClustering(KernelClustering):
    """Cuts the graph of similarities between rows where they are weak.

    The graph is never formed: with Nyström's features, its degrees are one sum over the rows, and
    its first eigenvectors follow from another. Rows are embedded by these, scaled to length 1, and
    clustered by k-means; a new row finds its cluster in the same way. A length scale of a
    fraction of the median follows thin structures better.

    Parameters
    ----------
    k : int, default=8
        Number of clusters, and of eigenvectors.
    maxIter, tol, numCenters, centerMethod, centers, kernel, lengthScale, nu, degree, \
standardization, missing, featuresCol, featuresCols, predictionCol, seed
        As for `KernelKMeans`.

    References
    ----------
    Ng, Jordan, Weiss (2001), "On spectral clustering: analysis and an algorithm". Fowlkes,
    Belongie, Chung, Malik (2004), "Spectral grouping using the Nyström method".

    Examples
    --------
    >>> model = SpectralClustering(k=2, numCenters=30, featuresCols=["petal_length"]).fit(iris)
    >>> sum(model.clusterSizes)
    150
    """

    @constructor
    def __init__(
        self,
        *,
        k: int = 8,
        maxIter: int = 50,
        tol: float = 1e-6,
        numCenters: int = 256,
        centerMethod: str = "uniform",
        centers: Sequence[Sequence[float]] | None = None,
        kernel: str = "rbf",
        lengthScale: float | str = "median",
        nu: float = 1.5,
        degree: int = 1,
        standardization: bool = True,
        missing: str = "error",
        featuresCols: Sequence[str] | None = None,
        featuresCol: str = "features",
        predictionCol: str = "prediction",
        seed: int = 0,
    ) -> None: ...

    def _embedding(self, source: RowSource, features: NystroemMap) -> Embedding:
        total = source.add(degree_sums, (features,))["total"]
        gram = source.add(graph_sums, (features, total))["gram"]
        k = min(self.getOrDefault(self.k), features.n_outputs)
        return spectral_embedding(features, total, gram, k)
