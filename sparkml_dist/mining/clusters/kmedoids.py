"""k-medoids by sampling (CLARA): of the medoids of several samples, the best on all rows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.cluster.progress import job_description
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.errors import DataError
from sparkml_dist.mining.clusters.candidate_scores import (
    score_candidates,
    silhouettes_of_candidates,
)
from sparkml_dist.mining.clusters.centers_estimator import CentersEstimator, check_enough
from sparkml_dist.mining.clusters.medoid_search import find_medoids
from sparkml_dist.mining.clusters.nearest_center import METRICS, center_distances
from sparkml_dist.mining.point_survey import joined_surveys, partial_surveys
from sparkml_dist.params import constructor, param
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.mining.clusters.centers_model import CentersModel
    from sparkml_dist.mining.point_columns import PointColumns

__all__ = ["KMedoids"]

_DRAWN = "sample int, width int, rows binary"
_SOLVED = "sample int, width int, medoids binary, peak_rss long"
_SLOTS_UNKNOWN = 8


class KMedoids(CentersEstimator):
    """k-medoids: centers that are rows of the data, in any of several metrics (CLARA).

    Samples are drawn by a hash of row content. A task finds the medoids of each by swaps
    (FasterPAM); one pass over all rows computes the cost of every sample's medoids, and the
    cheapest are kept. Noise and skewed clusters move medoids less than means.

    Parameters
    ----------
    featuresCol, featuresCols : str, list of str
        Columns of coordinates; every numeric column when neither is given.
    k : int, default=8
    distanceMeasure : {"euclidean", "manhattan", "cosine"}, default="euclidean"
    numSamples : int, default=5
    sampleSize : int, optional
        Rows of a sample; ``max(1000, 40 + 2 k)`` when not set. A task holds the distances of all
        pairs: 8 sampleSize² bytes.
    seed : int, default=0
    predictionCol : str, default="prediction"
        Cluster from 0, by descending number of rows.

    References
    ----------
    Kaufman, Rousseeuw (1990), Finding Groups in Data (CLARA). Schubert, Rousseeuw (2021), Fast and
    eager k-medoids clustering.

    Examples
    --------
    >>> KMedoids(k=3, distanceMeasure="manhattan").fit(iris).clusterCenters.shape
    (3, 4)
    """

    distanceMeasure: Any = param(
        "distanceMeasure", f"one of {', '.join(METRICS)}", TypeConverters.toString
    )
    numSamples: Any = param("numSamples", "number of samples (>= 1)", TypeConverters.toInt)
    sampleSize: Any = param("sampleSize", "rows of a sample (> k)", TypeConverters.toInt)

    @constructor
    def __init__(
        self,
        *,
        distanceMeasure: str = "euclidean",
        numSamples: int = 5,
        sampleSize: int | None = None,
        k: int = 8,
        seed: int = 0,
        featuresCols: Sequence[str] | None = None,
        featuresCol: str = "features",
        predictionCol: str = "prediction",
    ) -> None: ...

    def _fit(self, dataset: DataFrame) -> CentersModel:
        self._check()
        columns = self._columns(dataset)
        spark, start = dataset.sparkSession, time.perf_counter()
        info = SessionInfo.of(spark)
        k, metric = self.getOrDefault(self.k), self.getOrDefault(self.distanceMeasure)
        samples, seed = self.getOrDefault(self.numSamples), self.getOrDefault(self.seed)
        size = self._value(self.sampleSize) or max(1000, 40 + 2 * k)
        points = columns.points(dataset)
        groups = max(1, min(samples, info.slots or _SLOTS_UNKNOWN))
        with job_description(spark, "sparkml_dist: k-medoids"):
            surveys = partial_surveys(points, sample=samples * size, seed=seed)
            draw = partial(_draw, columns, samples, size, seed)
            solved = (
                surveys.repartition(1)
                .mapInArrow(draw, _DRAWN)
                .repartitionById(groups, "sample")
                .mapInArrow(partial(_solve, k, metric, seed, info.task_cpus), _SOLVED)
                .toArrow()
                .sort_by("sample")
                .to_pylist()
            )
            if not solved:
                raise DataError("empty_data", "There are no rows.", "Check the data.")
            width = solved[0]["width"]
            candidates = [np.frombuffer(s["medoids"]).reshape(-1, width) for s in solved]
            check_enough(min(len(c) for c in candidates), k)
            scores = score_candidates(points, width, candidates, metric, squared=False)
            best = min(range(len(scores)), key=lambda i: scores[i].cost)
            silhouette = None
            if metric != "manhattan" and k > 1:
                (silhouette,) = silhouettes_of_candidates(
                    points, width, [candidates[best]], [scores[best]], metric
                )
        summary = {
            "cost": scores[best].cost,
            "silhouette": silhouette,
            "costs_by_sample": [score.cost for score in scores],
            "peak_worker_rss": max(s["peak_rss"] for s in solved),
            "seconds": round(time.perf_counter() - start, 3),
        }
        return self._centers_model(columns, candidates[best], scores[best], metric, summary)

    def _check(self) -> None:
        super()._check()
        metric, size = self.getOrDefault(self.distanceMeasure), self._value(self.sampleSize)
        self._require(self.distanceMeasure, metric in METRICS, f"one of {', '.join(METRICS)}")
        self._require(self.numSamples, self.getOrDefault(self.numSamples) >= 1, "at least 1")
        k = self.getOrDefault(self.k)
        self._require(self.sampleSize, size is None or size > k, f"more than k ({k})")


def _draw(
    columns: PointColumns, samples: int, size: int, seed: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Distribute the rows with the lowest hashes over the samples."""
    known = joined_surveys(batches, sample=samples * size, seed=seed)
    if not known.rows:
        return  # no rows; the driver raises
    known.check(columns)
    rows = known.sample
    order = np.random.default_rng([seed, 1]).permutation(len(rows))
    # Where all rows fit into one sample, more samples would be equal.
    numbers = [0] if len(rows) <= size else range(samples)
    for number in numbers:
        # Round-robin: samples overlap only where there are too few rows for all of them.
        own = order[np.arange(number * size, (number + 1) * size) % len(order)]
        drawn = rows[np.unique(own)]
        yield pa.RecordBatch.from_arrays(
            [
                pa.array([number], pa.int32()),
                pa.array([rows.shape[1]], pa.int32()),
                pa.array([drawn.tobytes()], pa.binary()),
            ],
            ["sample", "width", "rows"],
        )


def _solve(
    k: int, metric: str, seed: int, cores: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    with PeakMemory() as memory, limit_threads(cores):
        for batch in batches:
            for row in batch.to_pylist():
                points = np.frombuffer(row["rows"]).reshape(-1, row["width"])
                check_enough(len(np.unique(points, axis=0)), k)
                distances = center_distances(points, points, metric)
                rng = np.random.default_rng([seed, 2, row["sample"]])
                medoids = points[find_medoids(distances, k, rng)]
                yield pa.RecordBatch.from_arrays(
                    [
                        pa.array([row["sample"]], pa.int32()),
                        pa.array([row["width"]], pa.int32()),
                        pa.array([medoids.tobytes()], pa.binary()),
                        pa.array([memory.so_far()], pa.int64()),
                    ],
                    ["sample", "width", "medoids", "peak_rss"],
                )
