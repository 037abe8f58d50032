"""k-means over silos as an estimator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.ml.param import TypeConverters

from sparkml_dist.federated.ensembles.kmeans import federated_centers
from sparkml_dist.federated.silo_estimator import HasSilos, federation_of, federation_summary
from sparkml_dist.mining.clusters.centers_estimator import CentersEstimator
from sparkml_dist.mining.clusters.centers_model import CentersModel
from sparkml_dist.params import constructor, param

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["FederatedKMeans"]

_LABEL = "_none"


class FederatedKMeans(CentersEstimator, HasSilos):
    """k-means over silos, which send sums of rows by their nearest centre, and never rows.

    Equal to Lloyd's iterations on all rows from the same start. For the start, silos send centres
    of clusters of their own that have at least `leastRows` rows.

    Parameters
    ----------
    k : int, default=8
    maxIter : int, default=100
    tol : float, default=0.0001
        Largest movement of a centre after which the iterations end.
    leastRows : int, default=5
        Rows of a silo's own cluster whose centre is sent for the start.
    siloCol : str, default="silo"
        Column with the silo of each row.
    minSilos : int, default=1
        Silos that must answer in every round.
    federationDir : str, optional
        Folder of silos' shards, rounds and ledgers; a temporary one by default.
    seed : int, default=0
    featuresCols, featuresCol, predictionCol
        As for `KMeans`.

    References
    ----------
    Lloyd (1982), "Least squares quantization in PCM"; Dennis, Li, Smith (2021), "Heterogeneity for
    the win: one-shot federated clustering".

    Examples
    --------
    >>> silos = iris.selectExpr("*", "pmod(hash(petal_length), 3) AS silo")
    >>> petals = FederatedKMeans(k=3, featuresCols=["petal_length", "petal_width"])
    >>> len(petals.fit(silos).clusterCenters)
    3
    """

    maxIter: Any = param("maxIter", "greatest number of iterations (>= 1)", TypeConverters.toInt)
    tol: Any = param("tol", "movement of centers that ends the fit (>= 0)", TypeConverters.toFloat)
    leastRows: Any = param(
        "leastRows", "rows of a silo's cluster whose center is sent (>= 1)", TypeConverters.toInt
    )

    @constructor
    def __init__(
        self,
        *,
        k: int = 8,
        maxIter: int = 100,
        tol: float = 0.0001,
        leastRows: int = 5,
        siloCol: str = "silo",
        minSilos: int = 1,
        federationDir: str | None = None,
        seed: int = 0,
        featuresCols: Sequence[str] | None = None,
        featuresCol: str = "features",
        predictionCol: str = "prediction",
    ) -> None: ...

    def _fit(self, dataset: DataFrame) -> CentersModel:
        from pyspark.sql import functions as F

        self._check()
        silo = self.getOrDefault(self.siloCol)
        columns = self._columns(dataset.drop(silo))
        names = list(columns.names)
        rows = dataset.withColumn(_LABEL, F.lit(0.0))
        with federation_of(
            self, rows, label=_LABEL, features=names, task="regression"
        ) as federation:
            found = federated_centers(
                federation,
                self.getOrDefault(self.k),
                max_iter=self.getOrDefault(self.maxIter),
                tol=self.getOrDefault(self.tol),
                least_rows=self.getOrDefault(self.leastRows),
                seed=self.getOrDefault(self.seed),
                minimum=self.getOrDefault(self.minSilos),
            )
            summary = {
                "inertia": found.inertia,
                "iterations": found.iterations,
                "converged": found.converged,
                **federation_summary(federation),
            }
        order = np.argsort(-found.sizes, kind="stable")
        sizes = found.sizes[order].astype(np.int64)
        model = CentersModel(
            columns=columns,
            content={"width": found.centers.shape[1], "metric": "euclidean"},
            arrays={"centers": found.centers[order], "sizes": sizes},
            summary={"rows": int(sizes.sum()), "k": len(sizes), **summary},
        )
        model._resetUid(self.uid)
        fitted: CentersModel = self._copyValues(model)
        return fitted

    def _check(self) -> None:
        super()._check()
        for p in (self.maxIter, self.leastRows, self.minSilos):
            self._require(p, self.getOrDefault(p) >= 1, "at least 1")
        self._require(self.tol, self.getOrDefault(self.tol) >= 0, "at least 0")
