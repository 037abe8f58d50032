"""k-means with k-means‖ initialization, for one k or the best of several."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.progress import job_description
from sparkml_dist.mining.clusters.candidate_scores import (
    score_candidates,
    silhouettes_of_candidates,
)
from sparkml_dist.mining.clusters.centers_estimator import CentersEstimator, check_enough
from sparkml_dist.mining.point_survey import survey
from sparkml_dist.params import constructor, param

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.mining.clusters.centers_model import CentersModel

__all__ = ["KMeans"]


class KMeans(CentersEstimator):
    """k-means (Spark's, initialized by k-means‖) for one k, or the best of several.

    With `ks`, each k is fitted and the one with the highest silhouette (squared Euclidean, exact,
    from sums for each cluster) is kept; the silhouettes of all are in ``model.summary["scores"]``.
    All of them are scored together, in two passes over the data. Cache the data: k-means reads it
    once in each iteration.

    Parameters
    ----------
    featuresCol, featuresCols : str, list of str
        Columns of coordinates; every numeric column when neither is given.
    k : int, default=8
        Number of clusters, where `ks` is not set.
    ks : list of int, optional
        Numbers of clusters to try.
    maxIter, tol, initSteps : int, float, int
        As in Spark's KMeans; by default 20, 1e-4 and 2.
    seed : int, default=0
    predictionCol : str, default="prediction"
        Cluster from 0, by descending number of rows.

    References
    ----------
    Bahmani, Moseley, Vattani, Kumar, Vassilvitskii (2012), Scalable k-means++. Rousseeuw (1987),
    Silhouettes.

    Examples
    --------
    >>> petals = KMeans(ks=[2, 3], featuresCols=["petal_length", "petal_width"]).fit(iris)
    >>> len(petals.clusterCenters)
    2
    """

    ks: Any = param("ks", "numbers of clusters to try (each >= 2)", TypeConverters.toListInt)
    maxIter: Any = param("maxIter", "greatest number of iterations (>= 1)", TypeConverters.toInt)
    tol: Any = param("tol", "movement of centers that ends the fit (>= 0)", TypeConverters.toFloat)
    initSteps: Any = param("initSteps", "steps of k-means‖ (>= 1)", TypeConverters.toInt)

    @constructor
    def __init__(
        self,
        *,
        ks: Sequence[int] | None = None,
        maxIter: int = 20,
        tol: float = 0.0001,
        initSteps: int = 2,
        k: int = 8,
        seed: int = 0,
        featuresCols: Sequence[str] | None = None,
        featuresCol: str = "features",
        predictionCol: str = "prediction",
    ) -> None: ...

    def _fit(self, dataset: DataFrame) -> CentersModel:
        from pyspark.ml.clustering import KMeans as SparkKMeans
        from pyspark.ml.functions import array_to_vector
        from pyspark.sql import functions as F

        self._check()
        columns = self._columns(dataset)
        spark, start = dataset.sparkSession, time.perf_counter()
        points = columns.points(dataset)
        ks = self._value(self.ks)
        tried = sorted(set(ks)) if ks else [self.getOrDefault(self.k)]
        settings = {name: self.getOrDefault(name) for name in ("maxIter", "tol", "initSteps")}
        with job_description(spark, "sparkml_dist: k-means"):
            known = survey(points)
            known.check(columns)
            check_enough(known.rows, tried[-1])
            vectors = points.select(array_to_vector(F.col("point")).alias("features"))
            candidates = []
            for k in tried:
                learner = SparkKMeans(k=k, seed=self.getOrDefault(self.seed), **settings)
                centers = np.array(learner.fit(vectors).clusterCenters(), np.float64)
                check_enough(len(centers), k)
                candidates.append(centers)
            scores = score_candidates(points, known.widest, candidates, "euclidean", squared=True)
            found: list[float | None] = [None] * len(tried)
            if tried[-1] > 1:
                found = silhouettes_of_candidates(
                    points, known.widest, candidates, scores, "euclidean"
                )
        best = max(range(len(tried)), key=lambda i: -2.0 if (s := found[i]) is None else s)
        table = [
            {"k": k, "inertia": score.cost, "silhouette": value}
            for k, score, value in zip(tried, scores, found, strict=True)
        ]
        summary = {
            "inertia": scores[best].cost,
            "silhouette": found[best],
            "scores": table,
            "seconds": round(time.perf_counter() - start, 3),
        }
        return self._centers_model(columns, candidates[best], scores[best], "euclidean", summary)

    def _check(self) -> None:
        super()._check()
        ks = self._value(self.ks)
        self._require(self.ks, ks is None or (bool(ks) and min(ks) >= 2), "numbers from 2 on")
        for p in (self.maxIter, self.initSteps):
            self._require(p, self.getOrDefault(p) >= 1, "at least 1")
        self._require(self.tol, self.getOrDefault(self.tol) >= 0, "at least 0")
