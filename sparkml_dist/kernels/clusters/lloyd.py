"""k-means of embedded rows, each step a sum over shards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.layout import Summands
from sparkml_dist.errors import DataError
from sparkml_dist.kernels.clusters.embedding import Embedding
from sparkml_dist.kernels.functions.kernel import Floats
from sparkml_dist.kernels.row_source import RowSource
from sparkml_dist.kernels.sampled_rows import SampledRows

__all__ = ["Clusters", "nearest", "step_of_block", "whole_k_means"]

Matrix = npt.NDArray[np.float64]

_STARTS = 8


def nearest(points: Floats, centers: Matrix) -> tuple[npt.NDArray[np.int64], Matrix]:
    """Return the nearest centre of each point, and the squared distance to it.

    Parameters
    ----------
    points : ndarray of float, shape (n, w)
    centers : ndarray of float64, shape (k, w)
    """
    squares = np.einsum("ij,ij->i", centers, centers) - 2 * points @ centers.T
    found = squares.argmin(axis=1)
    own = squares[np.arange(len(points)), found] + np.einsum("ij,ij->i", points, points)
    return found, np.maximum(own, 0.0)


def step_of_block(block: Any, embedding: Embedding, centers: Matrix) -> dict[str, Any]:
    """Return, for each centre, the number and the sum of the rows of a block that are nearest.

    Also ``inertia``, the sum of the squared distances.
    """
    k = len(centers)
    found: dict[str, Any] = {
        "sum": np.zeros(centers.shape),
        "number": np.zeros(k, np.int64),
        "inertia": 0.0,
    }
    for _, points in embedding.chunks(block.X):
        label, squared = nearest(points, centers)
        for j in range(k):
            found["sum"][j] += points[label == j].sum(axis=0)
        found["number"] += np.bincount(label, minlength=k)
        found["inertia"] += float(squared.sum())
    return found


@dataclass(frozen=True)
class Clusters:
    """Centres of embedded rows, the largest cluster first.

    Attributes
    ----------
    centers : ndarray of float64, shape (k, w)
    sizes : ndarray of int64, shape (k,)
    inertia : float
        Sum of the squared distances of all rows to their centres.
    iterations : int
    converged : bool
    """

    centers: Matrix
    sizes: npt.NDArray[np.int64]
    inertia: float
    iterations: int
    converged: bool


def whole_k_means(
    source: RowSource,
    embedding: Embedding,
    k: int,
    *,
    seed: int,
    sample: int,
    max_iter: int,
    tol: float,
) -> Clusters:
    """Find the centres of all rows by Lloyd's algorithm, begun with those of a sample.

    Parameters
    ----------
    source : RowSource
    embedding : Embedding
    k : int
    seed : int
    sample : int
        Rows that the first centres are found on, the best of eight starts of k-means++.
    max_iter : int
        Most passes.
    tol : float
        Relative decrease of the inertia at which to stop.

    Raises
    ------
    DataError
        ``too_few_rows``.
    """
    start = source.sample(sample, seed, partial(_start, embedding, k, seed))
    centers, inertia, done, converged = start["centers"], np.inf, 0, False
    while True:
        sums = source.add(step_of_block, (embedding, centers))
        now, sizes = float(sums["inertia"]), sums["number"]
        converged = inertia - now <= tol * max(inertia, 1e-300) if done else now == 0.0
        if converged or done == max_iter:
            order = np.argsort(-sizes, kind="stable")
            return Clusters(centers[order], sizes[order], now, done, converged)
        inertia, done = now, done + 1
        # A centre without rows stays where it is.
        some = sizes > 0
        centers = np.where(some[:, None], sums["sum"] / np.maximum(sizes, 1)[:, None], centers)


def _start(embedding: Embedding, k: int, seed: int, rows: SampledRows) -> Summands:
    from sklearn.cluster import KMeans

    points = embedding.points(rows.X)
    if len(np.unique(points, axis=0)) < k:
        raise DataError(
            "too_few_rows",
            f"k is {k:,}, but among the {len(points):,} rows that were drawn fewer are distinct.",
            "Set a smaller k.",
        )
    found = KMeans(k, n_init=_STARTS, random_state=seed % 2**32).fit(points)
    return {"centers": found.cluster_centers_}
