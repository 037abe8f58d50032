"""Coordinates in which clusters are round: Nyström's features, or the graph's eigenvectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.kernels.functions.kernel import Floats
from sparkml_dist.kernels.nystroem_map import NystroemMap

__all__ = ["Embedding", "degree_sums", "graph_sums", "spectral_embedding"]

Matrix = npt.NDArray[np.float64]

_LEAST_DEGREE = 1e-9


@dataclass(frozen=True)
class Embedding:
    """Maps rows to points among which clusters are found by k-means.

    Attributes
    ----------
    features : NystroemMap
    total : ndarray of float64, shape (r,), or None
        Sum of the features of all rows: a row's product with it is its degree in the graph of
        similarities. None for kernel k-means, which takes the features as they are.
    directions : ndarray of float64, shape (r, q), or None
        From features, divided by the root of the degree, to eigenvectors of the graph.
    """

    features: NystroemMap
    total: Matrix | None = None
    directions: Matrix | None = None

    @property
    def width(self) -> int:
        """Number of coordinates of a point."""
        return self.features.n_outputs if self.directions is None else self.directions.shape[1]

    def chunks(self, X: Any) -> Iterator[tuple[slice, Floats]]:
        """Yield the points of rows (n, d), a few megabytes at a time, with their slices."""
        for rows, found in self.features.chunks(X):
            if self.directions is None or self.total is None:
                yield rows, found
                continue
            points = _by_degree(found, self.total) @ self.directions
            norms = np.linalg.norm(points, axis=1, keepdims=True)
            yield rows, points / np.where(norms > 0, norms, 1.0)

    def points(self, X: Any) -> Matrix:
        """Return the points of rows, shape (n, width)."""
        parts = [found for _, found in self.chunks(X)]
        return np.concatenate(parts) if parts else np.empty((0, self.width))


def _by_degree(features: Floats, total: Matrix) -> Matrix:
    # A degree is at least the similarity of a row to itself, but for the approximation.
    degree = np.maximum(features @ total, _LEAST_DEGREE)
    return np.asarray(features / np.sqrt(degree)[:, None])


def degree_sums(block: Any, features: NystroemMap) -> dict[str, Any]:
    """Return the weighted sum of the features of a block, and of its weights."""
    found, weight = np.zeros(features.n_outputs), block.row_weights
    for rows, mapped in features.chunks(block.X):
        found += mapped.T @ weight[rows]
    return {"total": found, "weight": float(weight.sum())}


def graph_sums(block: Any, features: NystroemMap, total: Matrix) -> dict[str, Any]:
    """Return the weighted Gram matrix of a block's features, each divided by its degree's root."""
    found, weight = np.zeros((features.n_outputs, features.n_outputs)), block.row_weights
    for rows, mapped in features.chunks(block.X):
        scaled = _by_degree(mapped, total)
        found += scaled.T @ (scaled * weight[rows, None])
    return {"gram": found}


def spectral_embedding(features: NystroemMap, total: Matrix, gram: Matrix, k: int) -> Embedding:
    """Return the embedding by the first eigenvectors of the normalized graph.

    Parameters
    ----------
    features : NystroemMap
    total : ndarray of float64, shape (r,)
        Sum of the features of all rows.
    gram : ndarray of float64, shape (r, r)
        As added up by `graph_sums`.
    k : int
        Number of eigenvectors.

    References
    ----------
    Ng, Jordan, Weiss (2001), "On spectral clustering: analysis and an algorithm". Fowlkes,
    Belongie, Chung, Malik (2004), "Spectral grouping using the Nyström method".
    """
    values, vectors = np.linalg.eigh(gram)
    values, vectors = values[::-1][:k], vectors[:, ::-1][:, :k]
    return Embedding(features, total, vectors / np.sqrt(np.maximum(values, 1e-12)))
