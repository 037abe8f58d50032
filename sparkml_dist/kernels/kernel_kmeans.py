"""k-means in the space of a kernel."""

from __future__ import annotations

from collections.abc import Sequence

from sparkml_dist.kernels.clusters.embedding import Embedding
from sparkml_dist.kernels.clusters_estimator import KernelClustering
from sparkml_dist.kernels.nystroem_map import NystroemMap
from sparkml_dist.kernels.row_source import RowSource
from sparkml_dist.params import constructor

__all__ = ["KernelKMeans"]


class KernelKMeans(KernelClustering):
    """k-means of rows in the space of a kernel, on Nyström's features.

    Clusters may be of any form that the kernel tells apart. Each pass over the rows is a sum, exact
    for the features; the first centres are the best of eight runs on a sample.

    Parameters
    ----------
    k : int, default=8
        Number of clusters.
    maxIter : int, default=50
        Most passes over the rows.
    tol : float, default=1e-6
        Relative decrease of the inertia at which to stop.
    numCenters, centerMethod, centers, kernel, lengthScale, nu, degree, standardization, missing, \
featuresCol, featuresCols, seed
        As for `NystroemFeatures`.
    predictionCol : str, default="prediction"

    References
    ----------
    Dhillon, Guan, Kulis (2004), "Kernel k-means, spectral clustering and normalized cuts". Wang,
    Gittens, Mahoney (2019), "Scalable kernel k-means clustering with Nyström approximation",
    arXiv:1706.02803.

    Examples
    --------
    >>> model = KernelKMeans(k=3, numCenters=30, featuresCols=["petal_length"]).fit(iris)
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
        return Embedding(features)
