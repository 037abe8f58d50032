"""The silhouette of clusters: from sums where the distance allows it, else of a sample."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.mining.clusters.nearest_center import on_sphere
from sparkml_dist.mining.clusters.pairwise_silhouette import (
    METRICS,
    pairwise_silhouette,
    silhouettes_of_means,
)
from sparkml_dist.mining.point_columns import PointColumns, point_matrix
from sparkml_dist.mining.point_survey import survey

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["ClusterSums", "row_silhouettes", "silhouette"]

_logger = logging.getLogger(__name__)

MEASURES = ("sqeuclidean", "cosine", *METRICS)
_SUMS = "label long, rows long, mean binary, scatter double"
_SCORES = "total double, rows long"

Points = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass
class ClusterSums:
    """Sums of each cluster from which silhouettes follow.

    Attributes
    ----------
    labels : ndarray of int64, shape (k,)
        Ascending.
    rows : ndarray of int64, shape (k,)
    means : ndarray of float64, shape (k, d)
    scatters : ndarray of float64, shape (k,)
        Sum of squared distances of a cluster's rows to its mean.
    """

    labels: Labels
    rows: Labels
    means: Points
    scatters: Points

    @classmethod
    def of(cls, points: Points, labels: Labels) -> ClusterSums:
        """Return the sums of points, shape (n, d), with labels, shape (n,)."""
        names, codes, rows = np.unique(labels, return_inverse=True, return_counts=True)
        means = np.zeros((len(names), points.shape[1]))
        np.add.at(means, codes, points)
        means /= rows[:, None]
        scatters = np.bincount(codes, ((points - means[codes]) ** 2).sum(axis=1), len(names))
        return cls(names, rows.astype(np.int64), means, scatters.astype(np.float64))

    @classmethod
    def joined(cls, parts: Sequence[ClusterSums]) -> ClusterSums:
        """Return the sums of several sets of rows combined.

        Scatters are combined about the means (Chan, Golub, LeVeque 1983), since differences of raw
        sums of squares lose the digits of clusters that lie far from the origin.
        """
        labels = np.concatenate([part.labels for part in parts])
        rows = np.concatenate([part.rows for part in parts])
        means = np.concatenate([part.means for part in parts])
        scatters = np.concatenate([part.scatters for part in parts])
        names, codes = np.unique(labels, return_inverse=True)
        total = np.bincount(codes, rows, len(names))
        joined = np.zeros((len(names), means.shape[1]))
        np.add.at(joined, codes, means * rows[:, None])
        joined /= total[:, None]
        apart = rows * ((means - joined[codes]) ** 2).sum(axis=1)
        return cls(
            names,
            total.astype(np.int64),
            joined,
            np.bincount(codes, scatters + apart, len(names)).astype(np.float64),
        )


def row_silhouettes(points: Points, labels: Labels, sums: ClusterSums) -> Points:
    """Return the silhouette of each row under the squared Euclidean distance.

    The mean squared distance of a point to the rows of a cluster is its squared distance to their
    mean plus their scatter over their number; no pair of rows is compared.

    Parameters
    ----------
    points : ndarray of float64, shape (n, d)
    labels : ndarray of int64, shape (n,)
    sums : ClusterSums
        Sums of all rows, these included; at least two clusters.

    Returns
    -------
    ndarray of float64, shape (n,)
        In [-1, 1]; 0 for the only row of a cluster.
    """
    distances = np.empty((len(points), len(sums.labels)))
    for j, mean in enumerate(sums.means):
        distances[:, j] = ((points - mean) ** 2).sum(axis=1) + sums.scatters[j] / sums.rows[j]
    return silhouettes_of_means(np.searchsorted(sums.labels, labels), distances, sums.rows)


def silhouette(
    df: DataFrame,
    *,
    predictionCol: str = "prediction",
    featuresCol: str | None = None,
    featuresCols: Sequence[str] | None = None,
    distanceMeasure: str = "sqeuclidean",
    sampleSize: int = 5_000,
    seed: int = 0,
) -> float:
    """Return the mean silhouette (Rousseeuw 1987) of clusters.

    It is exact, at any number of rows, for the two measures that follow from sums for each cluster.
    For the others it is the mean over a random sample, each silhouette computed from all rows.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        Rows with their clusters. Noise is a cluster like any other here; filter it out first where
        it should not count. It is read three times: cache what is expensive to compute.
    predictionCol : str, default "prediction"
        Whole-numbered labels.
    featuresCol, featuresCols : str, sequence of str
        The coordinates; one of them is needed.
    distanceMeasure : {"sqeuclidean", "cosine", "euclidean", "manhattan"}, default "sqeuclidean"
        The first two follow from sums: linear in the rows, and exact. The squared Euclidean
        silhouette is not that of the Euclidean distance, scikit-learn's default.
    sampleSize : int, default 5000
        Rows whose silhouettes are averaged under ``euclidean`` and ``manhattan``; with no more
        rows than that the mean is exact. All rows are measured against each of them. The
        standard error, at most ``1 / sqrt(sampleSize)``, is logged (INFO).
    seed : int, default 0
        Seed of the sample.

    Returns
    -------
    float
        In [-1, 1].

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    DataError
        ``column_not_found``, ``non_numeric_feature``, ``empty_data``, ``not_finite``,
        ``vector_length``, ``invalid_prediction``, ``zero_vector``, ``score_undefined``.
    """
    if distanceMeasure not in MEASURES:
        raise ConfigurationError(
            "invalid_param",
            f"distanceMeasure must be one of {', '.join(MEASURES)}. Got {distanceMeasure!r}.",
        )
    if sampleSize < 2:
        raise ConfigurationError(
            "invalid_param", f"sampleSize must be at least 2. Got {sampleSize!r}."
        )
    if featuresCol is None and featuresCols is None:
        raise ConfigurationError(
            "invalid_param",
            "silhouette needs featuresCol or featuresCols. Got neither.",
            "All numeric columns would hold the prediction too.",
        )
    if predictionCol not in df.columns:
        raise DataError(
            "column_not_found",
            f"There is no column {predictionCol!r}.{nearest(predictionCol, df.columns)}",
            f"Columns are: {', '.join(df.columns[:12])}.",
        )
    names = [featuresCol] if featuresCols is None and featuresCol else featuresCols
    columns = PointColumns.of(df, None, names)
    label = named_column(predictionCol).cast("double")
    table = df.select(columns.column().alias("point"), label.alias("label"))
    known = survey(table.select("point"))
    known.check(columns)
    cosine = distanceMeasure == "cosine"
    width = known.widest
    parts = _parts(table.mapInArrow(partial(_sum, width, cosine), _SUMS).toArrow())
    bad = [part for part in parts if part.rows[0] < 0]
    if any(part.labels[0] for part in bad):
        raise DataError(
            "invalid_prediction",
            f"A row has no whole number in {predictionCol!r}.",
            "Drop rows without a cluster.",
        )
    if bad:
        raise DataError(
            "zero_vector",
            "The cosine of a row whose coordinates are all zero is not defined.",
            "Drop those rows, or use sqeuclidean.",
        )
    sums = ClusterSums.joined(parts)
    if len(sums.labels) < 2:
        raise DataError("score_undefined", "A silhouette needs two clusters. Got one.")
    if len(sums.labels) >= known.rows:
        raise DataError(
            "score_undefined",
            f"A silhouette needs fewer clusters than rows. Got {len(sums.labels):,} clusters.",
        )
    if distanceMeasure in METRICS:
        found = pairwise_silhouette(
            table, width, sums.labels, sums.rows, distanceMeasure, sample=sampleSize, seed=seed
        )
        _logger.info(
            "silhouette %.4f ± %.4f, of %s rows", found.mean, found.error, f"{found.rows:,}"
        )
        return found.mean
    scores = table.mapInArrow(partial(_score, width, cosine, sums), _SCORES).toArrow()
    return float(np.sum(scores["total"].to_numpy()) / known.rows)


def _blocks(
    batches: Iterator[pa.RecordBatch], width: int, cosine: bool
) -> Iterator[tuple[Points, Points]]:
    """Yield points (scaled to length 1 for the cosine) and labels (NaN where missing)."""
    for batch in batches:
        if not batch.num_rows:
            continue
        points = point_matrix(batch.column(0), width)
        if cosine:
            points = on_sphere(points)
        labels = batch.column(1).to_numpy(zero_copy_only=False).astype(np.float64)
        yield points, labels


def _sum(width: int, cosine: bool, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the sums of a partition; -1 rows where it has invalid rows."""
    total: ClusterSums | None = None
    for points, labels in _blocks(batches, width, cosine):
        whole = np.isfinite(labels) & (labels == np.floor(labels))
        if not whole.all() or (cosine and not points.any(axis=1).all()):
            wrong = int(not whole.all())
            total = ClusterSums(
                np.array([wrong]), np.array([-1]), np.zeros((1, width)), np.zeros(1)
            )
            break
        part = ClusterSums.of(points, labels.astype(np.int64))
        total = part if total is None else ClusterSums.joined([total, part])
    if total is not None:
        means = pa.array([mean.tobytes() for mean in total.means], pa.binary())
        yield pa.RecordBatch.from_arrays(
            [
                pa.array(total.labels, pa.int64()),
                pa.array(total.rows, pa.int64()),
                means,
                pa.array(total.scatters, pa.float64()),
            ],
            ["label", "rows", "mean", "scatter"],
        )


def _parts(table: pa.Table) -> list[ClusterSums]:
    return [
        ClusterSums(
            np.array([row["label"]]),
            np.array([row["rows"]]),
            np.frombuffer(row["mean"], np.float64)[None, :],
            np.array([row["scatter"]]),
        )
        for row in table.to_pylist()
    ]


def _score(
    width: int, cosine: bool, sums: ClusterSums, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    total, rows = 0.0, 0
    for points, labels in _blocks(batches, width, cosine):
        total += float(row_silhouettes(points, labels.astype(np.int64), sums).sum())
        rows += len(points)
    yield pa.RecordBatch.from_arrays(
        [pa.array([total], pa.float64()), pa.array([rows], pa.int64())], ["total", "rows"]
    )
