"""Scores blocks of rows with isolation trees, level by level."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkml_dist.mining.outliers.isolation_trees import IsolationTrees, average_path

__all__ = ["isolation_scores"]

# Values of a block: it must lie in a core's cache beside a tree.
_BLOCK_VALUES, _MOST_ROWS, _FEWEST_ROWS = 1 << 17, 8192, 512


def isolation_scores(
    trees: IsolationTrees, rows: npt.NDArray[np.floating], samples: int
) -> npt.NDArray[np.float64]:
    """Return the anomaly score of each row: near 1 for outliers, below 0.5 for the common ones.

    Parameters
    ----------
    trees : IsolationTrees
    rows : ndarray, shape (n, d)
    samples : int
        Rows that each tree was grown from.

    Returns
    -------
    ndarray of float64, shape (n,)
        ``2 ** -(mean path length / average_path(samples))``.
    """
    n, width = rows.shape
    step = max(_FEWEST_ROWS, min(_MOST_ROWS, _BLOCK_VALUES // max(1, width)))
    total = np.empty(n, np.float64)
    for start in range(0, n, step):
        block = np.ascontiguousarray(rows[start : start + step].T, dtype=np.float32)
        total[start : start + step] = _path_sums(trees, block)
    norm = float(average_path(samples))
    if norm == 0:  # trees of one row tell nothing apart
        return np.full(n, 0.5)
    scores: npt.NDArray[np.float64] = 2.0 ** -(total / len(trees.paths) / norm)
    return scores


def _path_sums(trees: IsolationTrees, columns: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the sum of the path lengths of each column of a block of shape (d, n)."""
    n = columns.shape[1]
    # One set of buffers for all trees and levels: allocating them costs more than the arithmetic.
    node, at = np.empty(n, np.int64), np.empty(n, np.int64)
    value, cut = np.empty(n, np.float32), np.empty(n, np.float32)
    right = np.empty(n, bool)
    step = right.view(np.int8)
    total = np.zeros(n, np.float64)
    flat, numbers = columns.ravel(), np.arange(n)
    term = np.empty(n, np.float32)
    for tree in range(len(trees.paths)):
        thresholds = trees.thresholds[tree]
        starts = None if trees.features is None else trees.features[tree].astype(np.int64) * n
        normals = None if trees.normals is None else np.ascontiguousarray(trees.normals[tree].T)
        node.fill(1)
        for _ in range(trees.depth):
            if starts is not None:
                np.take(starts, node, out=at, mode="clip")
                np.add(at, numbers, out=at)
                np.take(flat, at, out=value, mode="clip")
            else:
                assert normals is not None
                value.fill(0)
                for column, weights in zip(columns, normals, strict=True):
                    np.take(weights, node, out=term, mode="clip")
                    np.multiply(term, column, out=term)
                    np.add(value, term, out=value)
            np.take(thresholds, node, out=cut, mode="clip")
            np.greater(value, cut, out=right)
            np.add(node, node, out=node)
            np.add(node, step, out=node)
        np.subtract(node, len(thresholds), out=node)
        np.take(trees.paths[tree], node, out=value, mode="clip")
        np.add(total, value, out=total)
    return total
