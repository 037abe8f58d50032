"""Scores of several sets of centers on all rows, in two passes: cost, sizes, silhouette."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.mining.clusters.nearest_center import nearest_centers, on_sphere
from sparkml_dist.mining.clusters.silhouettes import ClusterSums, row_silhouettes
from sparkml_dist.mining.point_columns import point_matrix

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["CandidateScores", "score_candidates", "silhouettes_of_candidates"]

_SUMS = "candidate int, cost double, labels binary, rows binary, means binary, scatters binary"
_SILHOUETTES = "totals string"

Points = npt.NDArray[np.float64]


@dataclass
class CandidateScores:
    """Scores of a set of centers on all rows.

    Attributes
    ----------
    cost : float
        Sum of the squared Euclidean distances to the nearest center, or of the distances
        themselves in another metric.
    sizes : ndarray of int64, shape (k,)
        Rows of each center.
    sums : ClusterSums
        Sums of each cluster, for silhouettes; of points scaled to length 1 for the cosine.
    """

    cost: float
    sizes: npt.NDArray[np.int64]
    sums: ClusterSums


def score_candidates(
    points: DataFrame, width: int, candidates: Sequence[Points], metric: str, *, squared: bool
) -> list[CandidateScores]:
    """Assign all rows to the centers of each candidate, in one pass.

    Parameters
    ----------
    points : pyspark.sql.DataFrame
        One column of arrays of doubles.
    width : int
        Number of coordinates of a point.
    candidates : sequence of ndarray, each of shape (k, d)
    metric : {"euclidean", "manhattan", "cosine"}
    squared : bool
        Whether the cost adds squared distances.

    Raises
    ------
    DataError
        ``not_finite``, ``vector_length``, ``zero_vector``.
    """
    task = partial(_assign, width, list(candidates), metric, squared)
    table = points.mapInArrow(task, _SUMS).toArrow().combine_chunks()
    found = []
    for number, centers in enumerate(candidates):
        rows = table.filter(pa.compute.equal(table.column("candidate"), number)).to_pylist()
        sums = ClusterSums.joined([_read(row, width) for row in rows])
        sizes = np.zeros(len(centers), np.int64)
        sizes[sums.labels] = sums.rows
        found.append(CandidateScores(sum(row["cost"] for row in rows), sizes, sums))
    return found


def silhouettes_of_candidates(
    points: DataFrame,
    width: int,
    candidates: Sequence[Points],
    scores: Sequence[CandidateScores],
    metric: str,
) -> list[float | None]:
    """Return the mean silhouette of each candidate, in one pass.

    It is that of the squared Euclidean distance, or of the cosine; None where only one cluster has
    rows.
    """
    sums = [s.sums for s in scores]
    task = partial(_judge, width, list(candidates), metric, sums)
    texts = points.mapInArrow(task, _SILHOUETTES).toArrow().column("totals").to_pylist()
    totals = np.sum([json.loads(text) for text in texts], axis=0)
    rows = scores[0].sizes.sum()
    return [
        float(total / rows) if len(s.labels) > 1 else None
        for total, s in zip(totals, sums, strict=True)
    ]


def _assign(
    width: int,
    candidates: list[Points],
    metric: str,
    squared: bool,
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    cost = np.zeros(len(candidates))
    sums: list[ClusterSums | None] = [None] * len(candidates)
    for batch in batches:
        if not batch.num_rows:
            continue
        points = point_matrix(batch.column(0), width)
        placed = on_sphere(points) if metric == "cosine" else points
        for number, centers in enumerate(candidates):
            labels, distances = nearest_centers(points, centers, metric)
            cost[number] += float((distances**2 if squared else distances).sum())
            part, before = ClusterSums.of(placed, labels), sums[number]
            sums[number] = part if before is None else ClusterSums.joined([before, part])
    for number, total in enumerate(sums):
        if total is not None:
            yield _written(number, cost[number], total)


def _written(number: int, cost: float, sums: ClusterSums) -> pa.RecordBatch:
    arrays = [sums.labels, sums.rows, sums.means, sums.scatters]
    return pa.RecordBatch.from_arrays(
        [
            pa.array([number], pa.int32()),
            pa.array([cost], pa.float64()),
            *(pa.array([a.tobytes()], pa.binary()) for a in arrays),
        ],
        ["candidate", "cost", "labels", "rows", "means", "scatters"],
    )


def _read(row: dict[str, Any], width: int) -> ClusterSums:
    return ClusterSums(
        np.frombuffer(row["labels"], np.int64),
        np.frombuffer(row["rows"], np.int64),
        np.frombuffer(row["means"], np.float64).reshape(-1, width),
        np.frombuffer(row["scatters"], np.float64),
    )


def _judge(
    width: int,
    candidates: list[Points],
    metric: str,
    sums: list[ClusterSums],
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    totals = np.zeros(len(candidates))
    for batch in batches:
        if not batch.num_rows:
            continue
        points = point_matrix(batch.column(0), width)
        placed = on_sphere(points) if metric == "cosine" else points
        for number, centers in enumerate(candidates):
            if len(sums[number].labels) > 1:
                labels, _ = nearest_centers(points, centers, metric)
                totals[number] += float(row_silhouettes(placed, labels, sums[number]).sum())
    yield pa.RecordBatch.from_arrays([pa.array([json.dumps(totals.tolist())])], ["totals"])
