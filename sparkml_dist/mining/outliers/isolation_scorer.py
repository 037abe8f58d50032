"""Scores blocks of rows with isolation trees."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkml_dist.mining.outliers.compared_tree import ComparedTree, Workspace
from sparkml_dist.mining.outliers.isolation_trees import IsolationTrees, average_path

__all__ = ["IsolationScorer"]

# A block should fit a core's cache, but a numpy call costs as much as thousands of values.
_BLOCK_VALUES, _MOST_ROWS, _FEWEST_ROWS = 1 << 20, 65536, 4096


class IsolationScorer:
    """Computes anomaly scores.

    Parameters
    ----------
    trees : IsolationTrees
    samples : int
        Rows that each tree was grown from.
    """

    def __init__(self, trees: IsolationTrees, samples: int) -> None:
        self._trees = trees
        self._norm = float(average_path(samples))
        self._tops: list[ComparedTree] = []
        if trees.features is not None:
            self._tops = list(map(ComparedTree, trees.features, trees.thresholds))

    def __call__(self, rows: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Return the anomaly score of each row: near 1 for outliers, below 0.5 for inliers.

        Parameters
        ----------
        rows : ndarray, shape (n, d)

        Returns
        -------
        ndarray of float64, shape (n,)
            ``2 ** -(mean path length / average_path(samples))``.
        """
        n, width = rows.shape
        if self._norm == 0:  # trees of one row separate nothing
            return np.full(n, 0.5)
        step = max(_FEWEST_ROWS, min(_MOST_ROWS, _BLOCK_VALUES // max(1, width)))
        total = np.zeros(n, np.float64)
        for start in range(0, n, step):
            block = np.ascontiguousarray(rows[start : start + step].T, dtype=np.float32)
            if self._tops:
                _add_paths(self._trees, self._tops, block, total[start : start + step])
            else:
                _add_oblique_paths(self._trees, block, total[start : start + step])
        scores: npt.NDArray[np.float64] = 2.0 ** -(total / len(self._trees.paths) / self._norm)
        return scores


class _Descent:
    """Descends one level at a time, each row from its own node; the root is 1."""

    def __init__(self, n: int) -> None:
        # One set of buffers for all trees and levels: allocation costs more than the arithmetic.
        self.node = np.empty(n, np.int64)
        self.value = np.empty(n, np.float32)
        self._cut = np.empty(n, np.float32)
        self._right = np.empty(n, bool)

    def step(self, thresholds: npt.NDArray[np.float32]) -> None:
        """Move to a child: to the right where `value` is above the node's threshold."""
        node, right = self.node, self._right
        np.take(thresholds, node, out=self._cut, mode="clip")
        np.greater(self.value, self._cut, out=right)
        np.add(node, node, out=node)
        np.add(node, right.view(np.int8), out=node)


def _add_paths(
    trees: IsolationTrees,
    tops: list[ComparedTree],
    columns: npt.NDArray[np.float32],
    total: npt.NDArray[np.float64],
) -> None:
    """Add to `total` the path lengths of each column of a block of shape (d, n)."""
    assert trees.features is not None
    n = columns.shape[1]
    space, descent = Workspace(n, trees.depth), _Descent(n)
    at, path, code = np.empty(n, np.int64), np.empty(n, np.float32), np.empty(n, np.int64)
    flat, numbers, rows = columns.ravel(), np.arange(n), list(columns)
    for tree, top in enumerate(tops):
        thresholds, size = trees.thresholds[tree], len(trees.thresholds[tree])
        np.copyto(code, top.outcomes(rows, space))  # gathers need indices of this type
        if top.levels == trees.depth:
            np.take(trees.paths[tree][top.ends - size], code, out=path, mode="clip")
        else:
            np.take(top.ends, code, out=descent.node, mode="clip")
            starts = trees.features[tree].astype(np.int64) * n
            for _ in range(top.levels, trees.depth):
                np.take(starts, descent.node, out=at, mode="clip")
                np.add(at, numbers, out=at)
                np.take(flat, at, out=descent.value, mode="clip")
                descent.step(thresholds)
            np.subtract(descent.node, size, out=at)
            np.take(trees.paths[tree], at, out=path, mode="clip")
        np.add(total, path, out=total)


def _add_oblique_paths(
    trees: IsolationTrees, columns: npt.NDArray[np.float32], total: npt.NDArray[np.float64]
) -> None:
    """Add to `total` the path lengths of each column of a block in an extended tree."""
    assert trees.normals is not None
    n = columns.shape[1]
    descent = _Descent(n)
    node, value, term = descent.node, descent.value, np.empty(n, np.float32)
    for tree, thresholds in enumerate(trees.thresholds):
        normals = np.ascontiguousarray(trees.normals[tree].T)
        node.fill(1)
        for _ in range(trees.depth):
            value.fill(0)
            for column, weights in zip(columns, normals, strict=True):
                np.take(weights, node, out=term, mode="clip")
                np.multiply(term, column, out=term)
                np.add(value, term, out=value)
            descent.step(thresholds)
        np.subtract(node, len(thresholds), out=node)
        np.take(trees.paths[tree], node, out=value, mode="clip")
        np.add(total, value, out=total)
