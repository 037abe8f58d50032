"""Cells around k-means centres, and the number of them that a search must visit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.mining.neighbors.blocks import Blocks
from sparkml_dist.mining.neighbors.search import nearest, nearest_cells
from sparkml_dist.mining.point_columns import point_matrix

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["AssignCells", "ProbeCurve", "probe_curve", "sample", "train_centres"]

_PER_CELL = 50
_BUCKETS = 1 << 30


def sample(points: DataFrame, share: float, seed: int, purpose: int) -> DataFrame:
    """Return a random sample of the points, the same one when it is recomputed."""
    from pyspark.sql import functions as F

    draw = F.pmod(F.xxhash64("x", F.lit(seed), F.lit(purpose)), F.lit(_BUCKETS))
    return points.where(draw < round(share * _BUCKETS))


def train_centres(
    points: DataFrame, n: int, n_cells: int, most: int, seed: int, task_cpus: int
) -> npt.NDArray[np.float64]:
    """Return the centres of cells, by k-means on a sample in one task.

    Parameters
    ----------
    points : pyspark.sql.DataFrame
        With ``x``.
    n : int
        Points.
    n_cells : int
    most : int
        Most points of the sample.
    seed : int
    task_cpus : int
        Cores that a task owns.

    Returns
    -------
    ndarray of float64, shape (at most n_cells, width)
    """

    def train(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from sklearn.cluster import KMeans

        lists = pa.chunked_array([b.column(0) for b in batches if b.num_rows]).combine_chunks()
        lists = lists if isinstance(lists, pa.ListArray) else lists.chunk(0)
        x = point_matrix(lists, len(lists[0])).astype(np.float32)
        with limit_threads(task_cpus):
            k = min(n_cells, len(np.unique(x, axis=0)))
            means = KMeans(k, init="random", n_init=1, max_iter=12, random_state=seed).fit(x)
        centres = means.cluster_centers_.astype(np.float64)
        yield pa.RecordBatch.from_pydict({"centre": pa.array(list(centres))})

    share = min(1.0, min(_PER_CELL * n_cells, most) / n)
    chosen = points if share == 1.0 else sample(points, share, seed, 1)
    rows = chosen.select("x").repartition(1).mapInArrow(train, "centre array<double>").collect()
    return np.array([row["centre"] for row in rows])


@dataclass(frozen=True)
class AssignCells:
    """Adds the nearest centre's number to points; sent to the tasks.

    Attributes
    ----------
    centres : ndarray of float64, shape (n_cells, width)
    task_cpus : int
    """

    centres: npt.NDArray[np.float64]
    task_cpus: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield (id, x, cell) of rows of (id, x)."""
        origin = self.centres.mean(axis=0)
        centres = (self.centres - origin).astype(np.float32)
        with limit_threads(self.task_cpus):
            for batch in batches:
                x = point_matrix(batch.column(1), centres.shape[1])
                cell = nearest_cells((x - origin).astype(np.float32), centres, 1)[:, 0]
                yield pa.RecordBatch.from_arrays(
                    [batch.column(0), batch.column(1), pa.array(cell.astype(np.int32))],
                    ["id", "x", "cell"],
                )


@dataclass(frozen=True)
class ProbeCurve:
    """Recall as a function of the number of visited cells, on a sample of the points.

    Attributes
    ----------
    chosen, held_out : ndarray of int64, shape (n_cells,)
        Number of true neighbours in the nearest, second nearest, … cell of their query: for the
        half of the sample on which the number of cells is chosen, and for the other half.
    """

    chosen: npt.NDArray[np.int64]
    held_out: npt.NDArray[np.int64]

    def probes_for(self, recall: float) -> int:
        """Return the least number of visited cells that reaches a recall."""
        reached = np.cumsum(self.chosen) / max(1, self.chosen.sum())
        return int(np.searchsorted(reached, min(recall, reached[-1])) + 1)

    def recall(self, probes: int) -> float:
        """Return the recall of a number of visited cells on the held-out half."""
        return float(self.held_out[:probes].sum() / max(1, self.held_out.sum()))


def probe_curve(
    queries: DataFrame,
    centres: npt.NDArray[np.float64],
    blocks: Blocks,
    k: int,
    task_cpus: int,
) -> ProbeCurve:
    """Find the cells of the true neighbours of a sample.

    Parameters
    ----------
    queries : pyspark.sql.DataFrame
        With ``x``; a sample of the fitted points, which do not count as their own neighbours.
    centres : ndarray of float64, shape (n_cells, width)
    blocks : Blocks
    k : int
        Neighbours.
    task_cpus : int
    """

    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        origin = centres.mean(axis=0)
        with limit_threads(task_cpus):
            for batch in batches:
                if not batch.num_rows:
                    continue
                x = point_matrix(batch.column(0), centres.shape[1])
                _, rows = nearest(x, blocks, min(k + 1, blocks.n))
                cell_of = blocks.take(rows[:, 1:], "cell")
                order = nearest_cells(
                    (x - origin).astype(np.float32),
                    (centres - origin).astype(np.float32),
                    len(centres),
                )
                rank = np.empty_like(order)
                np.put_along_axis(rank, order, np.arange(len(centres))[None, :], axis=1)
                ranks = np.take_along_axis(rank, cell_of.astype(np.int64), axis=1)
                chosen, held = (
                    np.bincount(half.ravel(), minlength=len(centres))
                    for half in (ranks[::2], ranks[1::2])
                )
                yield pa.RecordBatch.from_pydict(
                    {"chosen": pa.array([chosen]), "held": pa.array([held])}
                )

    schema = "chosen array<bigint>, held array<bigint>"
    rows = queries.select("x").mapInArrow(look, schema).collect()
    total = np.zeros((2, len(centres)), dtype=np.int64)
    for row in rows:
        total += np.array([row["chosen"], row["held"]])
    return ProbeCurve(total[0], total[1])
