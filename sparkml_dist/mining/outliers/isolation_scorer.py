"""Scores blocks of rows with isolation trees, level by level."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkml_dist.mining.outliers.isolation_trees import IsolationTrees, average_path

__all__ = ["isolation_scores"]

# Values of a block: it must lie in a core's cache beside a tree.
_BLOCK_VALUES, _MOST_ROWS, _FEWEST_ROWS = 1 << 18, 32768, 512
# Levels of a tree all of whose nodes are compared: vectors of booleans cost a tenth of a gather,
# but there are twice as many with each level.
_COMPARED_LEVELS = 4


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
    top = (
        None if trees.features is None else _TopLevels(columns, min(trees.depth, _COMPARED_LEVELS))
    )
    for tree in range(len(trees.paths)):
        thresholds = trees.thresholds[tree]
        starts = None if trees.features is None else trees.features[tree].astype(np.int64) * n
        normals = None if trees.normals is None else np.ascontiguousarray(trees.normals[tree].T)
        level = 0
        if top is None:
            node.fill(1)
        else:
            assert trees.features is not None
            node[:] = top.nodes(trees.features[tree], thresholds)
            level = top.levels
        for _ in range(level, trees.depth):
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


class _TopLevels:
    """Finds the nodes that a block's rows come to after the first levels, without gathers.

    Each node of these levels is compared with all rows; the outcome that counts for a row is then
    chosen by its outcomes on the levels above, in halves.
    """

    def __init__(self, columns: npt.NDArray[np.float32], levels: int) -> None:
        n = columns.shape[1]
        self.levels = levels
        self._columns = columns
        self._greater = np.empty((1 << max(0, levels - 1), n), bool)
        self._chosen = np.empty((levels, n), bool)
        self._spare = np.empty(n, bool)
        self._node = np.empty(n, np.uint8)

    def nodes(
        self, features: npt.NDArray[np.int32], thresholds: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.uint8]:
        """Return the node of each row below the last of these levels; the root is 1."""
        self._node.fill(1)
        for level in range(self.levels):
            first = 1 << level
            for k in range(first):
                column = self._columns[features[first + k]]
                np.greater(column, thresholds[first + k], out=self._greater[k])
            right = self._choose(level)
            np.add(self._node, self._node, out=self._node)
            np.add(self._node, right.view(np.uint8), out=self._node)
        return self._node

    def _choose(self, level: int) -> npt.NDArray[np.bool_]:
        outcomes, spare = self._greater, self._spare
        for above in range(level - 1, -1, -1):
            for k in range(1 << above):
                low, high = outcomes[2 * k], outcomes[2 * k + 1]
                # low where the row went to the left above, high where to the right
                np.bitwise_xor(low, high, out=spare)
                np.bitwise_and(spare, self._chosen[above], out=spare)
                np.bitwise_xor(low, spare, out=outcomes[k])
        self._chosen[level] = outcomes[0]
        return self._chosen[level]
