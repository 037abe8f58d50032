"""Mini-batch k-means in parallel tasks, whose centers are merged; reads the data twice."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.cluster.progress import job_description
from sparkml_dist.cluster.task_errors import errors_of_tasks
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.mining.clusters.candidate_scores import (
    score_candidates,
    silhouettes_of_candidates,
)
from sparkml_dist.mining.clusters.centers_estimator import CentersEstimator, check_enough
from sparkml_dist.mining.point_columns import PointColumns, point_matrix
from sparkml_dist.mining.point_survey import survey
from sparkml_dist.params import constructor, param
from sparkml_dist.session import SessionInfo, get_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from sparkml_dist.mining.clusters.centers_model import CentersModel

__all__ = ["MiniBatchKMeans"]

_LOCAL = "rows long, centers binary, weights binary, spare binary, peak_rss long"
_ROWS = 16_384
# Centers of a task for each of the k: more of them keep small clusters apart until the merge.
_LOCAL_CENTERS = 4


class MiniBatchKMeans(CentersEstimator):
    """k-means in two passes over the data, whatever its size.

    Each task learns more than `k` centers from its rows, in mini-batches (Sculley 2010), and counts
    the rows of each; weighted k-means of the centers of all tasks gives `k` (Guha, Meyerson,
    Mishra, Motwani, O'Callaghan 2003). The second pass gives the exact inertia and silhouette.

    ``fit`` takes a DataFrame, whose rows are first distributed at random over the tasks, or a
    partitioned data set (`partition`), whose shards are random samples already.

    Parameters
    ----------
    featuresCol, featuresCols : str, list of str
        Columns of coordinates; every numeric column when neither is given. Not used with a
        partitioned data set, which names its features.
    k : int, default=8
    batchSize : int, default=8192
        Rows of a mini-batch.
    seed : int, default=0
    predictionCol : str, default="prediction"
        Cluster from 0, by descending number of rows.

    References
    ----------
    Sculley (2010), Web-scale k-means clustering. Guha, Meyerson, Mishra, Motwani, O'Callaghan
    (2003), Clustering data streams: theory and practice.

    Examples
    --------
    >>> MiniBatchKMeans(k=3).fit(data).clusterCenters.shape
    (3, 4)
    """

    batchSize: Any = param("batchSize", "rows of a mini-batch (>= 1)", TypeConverters.toInt)

    @constructor
    def __init__(
        self,
        *,
        batchSize: int = 8192,
        k: int = 8,
        seed: int = 0,
        featuresCols: Sequence[str] | None = None,
        featuresCol: str = "features",
        predictionCol: str = "prediction",
    ) -> None: ...

    def fit(
        self,
        dataset: DataFrame | PartitionedDataset,
        params: Any = None,
        *,
        spark: SparkSession | None = None,
    ) -> Any:
        """Fit on a DataFrame or on a partitioned data set.

        Parameters
        ----------
        dataset : pyspark.sql.DataFrame or PartitionedDataset
        params : dict or list of dict, optional
            As for any estimator of Spark ML; not with a partitioned data set.
        spark : pyspark.sql.SparkSession, optional
            For a partitioned data set; the active session by default.

        Returns
        -------
        CentersModel
        """
        if not isinstance(dataset, PartitionedDataset):
            return super().fit(dataset, params)
        if params is not None:
            raise ConfigurationError(
                "invalid_param", "params cannot be given with a partitioned data set.", "Use copy."
            )
        columns = _columns_of(dataset)
        points = _points_of(dataset, spark or get_session("mini-batch k-means"))
        with errors_of_tasks():
            return self._fit_points(points, columns, dealt=True)

    def _fit(self, dataset: DataFrame) -> CentersModel:
        columns = self._columns(dataset)
        return self._fit_points(columns.points(dataset), columns, dealt=False)

    def _fit_points(self, points: DataFrame, columns: PointColumns, *, dealt: bool) -> CentersModel:
        self._check()
        spark, start = points.sparkSession, time.perf_counter()
        info = SessionInfo.of(spark)
        k, seed = self.getOrDefault(self.k), self.getOrDefault(self.seed)
        with job_description(spark, "sparkml_dist: mini-batch k-means"):
            known = survey(points)
            known.check(columns)
            check_enough(known.rows, k)
            task = partial(
                _learn, known.widest, k, self.getOrDefault(self.batchSize), seed, info.task_cpus
            )
            spread = points if dealt else points.repartition(max(2, info.slots or 2))
            table = spread.mapInArrow(task, _LOCAL).toArrow().to_pylist()
            centers = _merged(table, k, known.widest, seed)
            (scores,) = score_candidates(points, known.widest, [centers], "euclidean", squared=True)
            silhouette = None
            if k > 1:
                (silhouette,) = silhouettes_of_candidates(
                    points, known.widest, [centers], [scores], "euclidean"
                )
        summary = {
            "inertia": scores.cost,
            "silhouette": silhouette,
            "tasks": len(table),
            "peak_worker_rss": max(row["peak_rss"] for row in table),
            "seconds": round(time.perf_counter() - start, 3),
        }
        return self._centers_model(columns, centers, scores, "euclidean", summary)

    def _check(self) -> None:
        super()._check()
        self._require(self.batchSize, self.getOrDefault(self.batchSize) >= 1, "at least 1")


def _columns_of(data: PartitionedDataset) -> PointColumns:
    """Return the columns of coordinates of a DataFrame with the data set's columns."""
    columns = data.schema.columns
    kinds = {column.kind for column in columns}
    if kinds == {"numeric"}:
        return PointColumns("numeric", tuple(column.name for column in columns))
    if len(columns) == 1 and kinds <= {"array", "vector"}:
        return PointColumns(columns[0].kind, (columns[0].name,))
    raise ConfigurationError(
        "features_of_several_kinds",
        f"{data.location!r} has features of the kinds {', '.join(sorted(kinds))}.",
        "Coordinates are numeric columns, or one column of arrays or ML vectors.",
    )


def _points_of(data: PartitionedDataset, spark: SparkSession) -> DataFrame:
    """Return the rows as one column of arrays, one shard per partition, read without the JVM."""
    number = len(data.shards)

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for shard in batch.column(0).to_pylist():
                X = data.read_block(shard, dtype=np.float64).X
                for at in range(0, X.shape[0], _ROWS):
                    rows = X[at : at + _ROWS]
                    flat = np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows)
                    ends = np.arange(0, flat.size + 1, flat.shape[1], dtype=np.int32)
                    values = pa.array(flat.ravel().astype(np.float64))
                    lists = pa.ListArray.from_arrays(pa.array(ends), values)
                    yield pa.RecordBatch.from_arrays([lists], ["point"])

    return spark.range(0, number, 1, number).mapInArrow(read, "point array<double>")


def _learn(
    width: int, k: int, batch_size: int, seed: int, cores: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Learn the centers of a partition in the memory of a mini-batch."""
    from sklearn.cluster import MiniBatchKMeans as Learner

    wanted, rows = _LOCAL_CENTERS * k, 0
    with PeakMemory() as memory, limit_threads(cores):
        learner: Any = None
        # Distinct rows are counted as long as there are no more of them than centers: each then is
        # a center, even one too rare for a mini-batch.
        kinds = _DistinctRows(width, wanted)
        held: list[npt.NDArray[np.float64]] = []
        waiting = 0
        least = max(batch_size, 3 * wanted)

        def learn() -> None:
            nonlocal learner, held, waiting
            points = np.concatenate(held)
            held, waiting = [], 0
            if learner is not None:
                learner.partial_fit(points)
            elif not kinds.take(points):
                learner = Learner(wanted, random_state=seed, n_init=1)
                weights = np.concatenate([kinds.counts, np.ones(len(points))])
                learner.partial_fit(np.concatenate([kinds.rows, points]), sample_weight=weights)

        for batch in batches:
            points = point_matrix(batch.column(0), width)
            rows += len(points)
            for at in range(0, len(points), batch_size):
                held.append(points[at : at + batch_size])
                waiting += len(held[-1])
                if waiting >= least:
                    learn()
        if waiting and (learner is None or waiting >= learner.n_clusters):
            learn()
        if not rows:
            return
        centers, weights = kinds.rows, kinds.counts
        if learner is not None:
            centers, weights = learner.cluster_centers_, np.asarray(learner._counts, np.float64)
        used = weights > 0
        yield pa.RecordBatch.from_arrays(
            [
                pa.array([rows], pa.int64()),
                pa.array([centers[used].astype(np.float64).tobytes()]),
                pa.array([weights[used].tobytes()]),
                pa.array([kinds.some.tobytes()]),
                pa.array([memory.so_far()], pa.int64()),
            ],
            ["rows", "centers", "weights", "spare", "peak_rss"],
        )


class _DistinctRows:
    """The distinct rows so far and their counts, as long as they are few.

    Attributes
    ----------
    rows : ndarray of float64, shape (kinds, d)
    counts : ndarray of float64, shape (kinds,)
    some : ndarray of float64, shape (most, d)
        Distinct rows, once there were too many to count; none before.
    """

    def __init__(self, width: int, most: int) -> None:
        self.most = most
        self.rows: npt.NDArray[np.float64] = np.empty((0, width))
        self.counts: npt.NDArray[np.float64] = np.empty(0)
        self.some: npt.NDArray[np.float64] = np.empty((0, width))

    def take(self, points: npt.NDArray[np.float64]) -> bool:
        """Count `points`; return False, and change no count, if there are too many distinct ones.

        A few rows are tried first: they suffice where most rows differ.
        """
        ahead = 4 * self.most
        if len(points) > ahead:
            rows = np.unique(points[:ahead], axis=0)
            if len(rows) > self.most:
                self.some = rows[: self.most]
                return False
        rows, place = np.unique(np.concatenate([self.rows, points]), axis=0, return_inverse=True)
        if len(rows) > self.most:
            self.some = rows[: self.most]
            return False
        before = np.concatenate([self.counts, np.ones(len(points))])
        self.rows = rows
        self.counts = np.bincount(place.ravel(), before, len(rows)).astype(np.float64)
        return True


def _merged(table: list[dict[str, Any]], k: int, width: int, seed: int) -> npt.NDArray[np.float64]:
    """Return `k` centers by k-means of the centers of all tasks, weighted by their rows."""
    from sklearn.cluster import KMeans as Learner

    def joined(name: str) -> npt.NDArray[np.float64]:
        return np.concatenate([np.frombuffer(row[name]) for row in table])

    centers, weights = joined("centers").reshape(-1, width), joined("weights")
    distinct = len(np.unique(centers, axis=0))
    if distinct < k:
        # Mini-batches may have merged distinct centers; distinct rows fill the gap.
        spare = joined("spare").reshape(-1, width)
        centers = np.concatenate([centers, spare])
        weights = np.concatenate([weights, np.ones(len(spare))])
        distinct = len(np.unique(centers, axis=0))
    check_enough(distinct, k)
    learner = Learner(k, n_init=10, random_state=seed).fit(centers, sample_weight=weights)
    return np.asarray(learner.cluster_centers_, np.float64)
