"""The silhouette of distances that need pairs of rows: of a sample, against all rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.mining.point_columns import point_matrix
from sparkml_dist.mining.point_survey import joined_surveys, partial_surveys

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["METRICS", "SilhouetteEstimate", "pairwise_silhouette", "silhouettes_of_means"]

#: SciPy's names of the distances.
METRICS = {"euclidean": "euclidean", "manhattan": "cityblock"}

_PIECES = "part int, sampled boolean, rows binary"
_SUMS = "part int, labels binary, sums binary"
_ESTIMATE = "mean double, error double, rows long"
# Bytes of the rows of a part, which a task holds in memory.
_PART_BYTES = 64 << 20
# Distances that are held in memory at a time.
_VALUES = 1 << 22

Points = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SilhouetteEstimate:
    """A mean silhouette.

    Attributes
    ----------
    mean : float
    error : float
        Standard error of the mean; 0 where every row is in the sample.
    rows : int
        Rows whose silhouettes were averaged.
    """

    mean: float
    error: float
    rows: int


def pairwise_silhouette(
    table: DataFrame,
    width: int,
    labels: Labels,
    rows: Labels,
    metric: str,
    *,
    sample: int,
    seed: int,
) -> SilhouetteEstimate:
    """Average the silhouettes of a random sample, each computed exactly from all rows.

    Every task adds up the distances of its rows to those of the sample, by cluster. Neither rows
    nor sample pass through the driver.

    Parameters
    ----------
    table : pyspark.sql.DataFrame
        Columns point (array of doubles) and label (double, whole numbers).
    width : int
        Number of coordinates of a point.
    labels, rows : ndarray of int64, shape (k,)
        The clusters, ascending, and how many rows each has.
    metric : {"euclidean", "manhattan"}
    sample : int
        Rows to draw; all rows where there are not more.
    seed : int
    """
    from pyspark.sql import functions as F

    total = int(rows.sum())
    parts = max(1, -(-total * (width + 1) * 8 // _PART_BYTES), 2)
    # Labels travel as the points' last coordinate.
    labelled = table.select(F.concat("point", F.array("label")).alias("point"))
    drawn = (
        partial_surveys(labelled, sample=sample, seed=seed)
        .repartition(1)
        .mapInArrow(partial(_copies, sample, seed, parts), _PIECES)
    )
    pieces = labelled.mapInArrow(partial(_pieces, width, parts), _PIECES)
    (found,) = (
        pieces.unionByName(drawn)
        .repartitionById(parts, "part")
        .mapInArrow(partial(_distance_sums, width, labels, METRICS[metric]), _SUMS)
        .repartition(1)
        .mapInArrow(partial(_estimate, labels, rows), _ESTIMATE)
        .toArrow()
        .to_pylist()
    )
    return SilhouetteEstimate(found["mean"], found["error"], found["rows"])


def silhouettes_of_means(own: Labels, means: Points, rows: Labels) -> Points:
    """Return silhouettes from the mean distances to the rows of each cluster.

    Parameters
    ----------
    own : ndarray of int64, shape (n,)
        Position of each row's cluster among the clusters.
    means : ndarray of float64, shape (n, k)
        Mean distances to all rows of each cluster, a row's distance 0 to itself included.
    rows : ndarray of int64, shape (k,)
        Rows of each cluster; k is at least two.

    Returns
    -------
    ndarray of float64, shape (n,)
        In [-1, 1]; 0 for the only row of a cluster.
    """
    at = np.arange(len(own))
    others = rows[own] - 1
    inside = means[at, own] * rows[own] / np.maximum(others, 1)
    apart = means.copy()
    apart[at, own] = np.inf
    outside = apart.min(axis=1)
    larger = np.maximum(inside, outside)
    sound = (others > 0) & (larger > 0)
    return np.where(sound, (outside - inside) / np.where(sound, larger, 1.0), 0.0)


def _copies(
    sample: int, seed: int, parts: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Yield the sample once for each part."""
    rows = joined_surveys(batches, sample=sample, seed=seed).sample.tobytes()
    for part in range(parts):
        yield _piece(part, True, rows)


def _pieces(width: int, parts: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield blocks of rows, assigned to the parts in turn."""
    from pyspark import TaskContext

    context = TaskContext.get()
    turn = context.partitionId() if context is not None else 0
    step = max(1, _PART_BYTES // 16 // (8 * (width + 1)))
    for batch in batches:
        rows = point_matrix(batch.column(0), width + 1)
        for at in range(0, len(rows), step):
            yield _piece(turn % parts, False, rows[at : at + step].tobytes())
            turn += 1


def _piece(part: int, sampled: bool, rows: bytes) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [pa.array([part], pa.int32()), pa.array([sampled]), pa.array([rows], pa.binary())],
        ["part", "sampled", "rows"],
    )


def _distance_sums(
    width: int, labels: Labels, metric: str, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """Yield the distances of the sample to the rows of a part, added up by cluster."""
    sample: Points | None = None
    sums: Points = np.empty(0)
    part, waiting = 0, []
    for batch in batches:
        for row in batch.to_pylist():
            found = np.frombuffer(row["rows"]).reshape(-1, width + 1)
            part = row["part"]
            if row["sampled"]:
                sample = found
                sums = np.zeros((len(labels), len(sample)))
            else:
                waiting.append(found)
            if sample is not None:
                for rows in waiting:
                    _add_distances(sums, rows, sample, labels, metric)
                waiting = []
    if sample is not None:
        own = np.searchsorted(labels, sample[:, -1].astype(np.int64))
        yield pa.RecordBatch.from_arrays(
            [
                pa.array([part], pa.int32()),
                pa.array([own.astype(np.int64).tobytes()], pa.binary()),
                pa.array([sums.tobytes()], pa.binary()),
            ],
            ["part", "labels", "sums"],
        )


def _add_distances(sums: Points, rows: Points, sample: Points, labels: Labels, metric: str) -> None:
    from scipy.spatial.distance import cdist

    codes = np.searchsorted(labels, rows[:, -1].astype(np.int64))
    order = np.argsort(codes, kind="stable")
    rows, codes = rows[order], codes[order]
    step = max(1, _VALUES // len(sample))
    for at in range(0, len(rows), step):
        here = codes[at : at + step]
        starts = np.flatnonzero(np.append(True, here[1:] != here[:-1]))
        distances = cdist(rows[at : at + step, :-1], sample[:, :-1], metric)
        sums[here[starts]] += np.add.reduceat(distances, starts, axis=0)


def _estimate(
    labels: Labels, rows: Labels, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    # In the order of the parts, so that rounding is the same in every run.
    found = sorted((row for batch in batches for row in batch.to_pylist()), key=lambda r: r["part"])
    sums = sum(np.frombuffer(row["sums"]).reshape(len(labels), -1) for row in found)
    own = np.frombuffer(found[0]["labels"], np.int64)
    values = silhouettes_of_means(own, np.asarray(sums).T / rows, rows)
    total, drawn = int(rows.sum()), len(values)
    error = 0.0
    if 1 < drawn < total:
        error = float(values.std(ddof=1) / np.sqrt(drawn) * np.sqrt(1 - drawn / total))
    yield pa.RecordBatch.from_arrays(
        [
            pa.array([float(values.mean())]),
            pa.array([error], pa.float64()),
            pa.array([drawn], pa.int64()),
        ],
        ["mean", "error", "rows"],
    )
