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
_USUAL_ITERATIONS = 20


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
    """Return, for each centre, number, weight and weighted sum of the rows that are nearest.

    Also ``inertia``, the weighted sum of the squared distances.
    """
    k = len(centers)
    found: dict[str, Any] = {
        "sum": np.zeros(centers.shape),
        "number": np.zeros(k, np.int64),
        "weight": np.zeros(k),
        "inertia": 0.0,
    }
    weight = block.row_weights
    for rows, points in embedding.chunks(block.X):
        label, squared = nearest(points, centers)
        w = weight[rows]
        for j in range(k):
            here = label == j
            found["sum"][j] += w[here] @ points[here]
        found["number"] += np.bincount(label, minlength=k)
        found["weight"] += np.bincount(label, w, minlength=k)
        found["inertia"] += float(w @ squared)
    return found


@dataclass(frozen=True)
class Clusters:
    """Centres of embedded rows, the largest cluster first.

    Attributes
    ----------
    centers : ndarray of float64, shape (k, w)
    sizes : ndarray of int64, shape (k,)
    inertia : float
        Weighted sum of the squared distances of all rows to their centres.
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
    problem = (embedding, start["centers"], max_iter, tol)
    return Clusters(**source.solve(_lloyd, problem, min(max_iter, _USUAL_ITERATIONS)))


def _lloyd(sums_of: Any, problem: tuple[Embedding, Matrix, int, float]) -> dict[str, Any]:
    embedding, centers, max_iter, tol = problem
    inertia, done, converged = np.inf, 0, False
    while True:
        sums = sums_of.add(step_of_block, (embedding, centers))
        now, sizes, weight = float(sums["inertia"]), sums["number"], sums["weight"]
        converged = inertia - now <= tol * max(inertia, 1e-300) if done else now == 0.0
        if converged or done == max_iter:
            order = np.argsort(-sizes, kind="stable")
            return vars(Clusters(centers[order], sizes[order], now, done, bool(converged)))
        inertia, done = now, done + 1
        # A centre without rows stays where it is.
        some = weight > 0
        mean = sums["sum"] / np.where(some, weight, 1.0)[:, None]
        centers = np.where(some[:, None], mean, centers)


def _start(embedding: Embedding, k: int, seed: int, rows: SampledRows) -> Summands:
    from sklearn.cluster import KMeans

    points = embedding.points(rows.X)
    if len(np.unique(points, axis=0)) < k:
        raise DataError(
            "too_few_rows",
            f"k is {k:,}, but among the {len(points):,} rows that were drawn fewer are distinct.",
            "Set a smaller k.",
        )
    learner = KMeans(k, n_init=_STARTS, random_state=seed % 2**32)
    found = learner.fit(points, sample_weight=rows.weight)
    return {"centers": found.cluster_centers_}
