"""The top of an isolation tree as whole-column comparisons, without a gather."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ComparedTree", "Workspace"]

# Nodes of a level that are all compared: one costs a block about 0.15 ns a row, and to look up
# each row's own node on that level about 4.
_MOST_NODES = 20
# Ends are numbered in a byte. Arrays without a shape are what numpy takes fastest.
_NUMBERS = [np.array(number, np.uint8) for number in range(256)]

# Features, thresholds, and whether a node is there, of a tree as a heap.
_Heap = tuple[list[int], npt.NDArray[np.float32], list[bool]]


@dataclass(frozen=True)
class _Node:
    """A node, after those below it; a child is None where it is a node too, else an end."""

    feature: int
    threshold: npt.NDArray[np.float32]
    left: npt.NDArray[np.uint8] | None
    right: npt.NDArray[np.uint8] | None


class Workspace:
    """Buffers for blocks of n rows: allocating them anew costs more than the arithmetic."""

    def __init__(self, n: int, depth: int) -> None:
        self.greater = np.empty(n, bool)
        self.codes = [np.empty(n, np.uint8) for _ in range(depth + 1)]


class ComparedTree:
    """Finds where a block's rows come to in the upper levels of a tree.

    Every node is compared with all rows, and each then chooses between what its children chose.
    That costs an operation on bytes or two for each node, which vectorizes, where a descent costs
    gathers for each level, which do not; and the branches of an isolation tree end early, so that
    its nodes are few.

    Parameters
    ----------
    features : ndarray of int32, shape (2**depth,)
    thresholds : ndarray of float32, shape (2**depth,)
        The tree as a heap, padded as `IsolationTrees` says.

    Attributes
    ----------
    levels : int
        Levels that are compared, from the root; the depth of the tree where its nodes are few.
    ends : ndarray of int64
        Node of the heap on the first level below these, for each outcome.
    """

    def __init__(
        self, features: npt.NDArray[np.int32], thresholds: npt.NDArray[np.float32]
    ) -> None:
        real = np.isfinite(thresholds)
        self.levels = _compared_levels(real)
        self._nodes: list[_Node] = []
        ends: list[int] = []
        tree = (features.tolist(), thresholds.astype(np.float32), real.tolist())
        self._add(tree, 1, 0, ends)
        self.ends = np.array(ends, np.int64)

    def outcomes(
        self, columns: list[npt.NDArray[np.float32]], space: Workspace
    ) -> npt.NDArray[np.uint8]:
        """Return which of `ends` each row comes to; valid until the workspace is used again.

        Parameters
        ----------
        columns : list of ndarray of float32, each of shape (n,)
        space : Workspace

        Returns
        -------
        ndarray of uint8, shape (n,)
        """
        greater, codes = space.greater, space.codes
        right = greater.view(np.uint8)
        top = 0  # of the stack of codes
        if not self._nodes:
            codes[0].fill(0)
        for node in self._nodes:
            np.greater(columns[node.feature], node.threshold, out=greater)
            if node.left is not None and node.right is not None:
                np.add(right, node.left, out=codes[top])  # ends are numbered from left to right
                top += 1
                continue
            # left + right * (code on the right - code on the left), modulo 256
            spare = codes[top]
            if node.left is not None:
                spare, low = codes[top - 1], node.left
                np.subtract(spare, low, out=spare)
            elif node.right is not None:
                low = codes[top - 1]
                np.subtract(node.right, low, out=spare)
            else:
                top -= 1
                spare, low = codes[top], codes[top - 1]
                np.subtract(spare, low, out=spare)
            np.multiply(spare, right, out=spare)
            np.add(spare, low, out=codes[top - 1])
        return codes[0]

    def _add(
        self, tree: _Heap, node: int, level: int, ends: list[int]
    ) -> npt.NDArray[np.uint8] | None:
        """Append the nodes from `node` down; return its number where it is an end."""
        features, thresholds, real = tree
        if level == self.levels or not real[node]:
            # A padded node sends all rows to its left: its end is its leftmost descendant.
            ends.append(node << (self.levels - level))
            return _NUMBERS[len(ends) - 1]
        left = self._add(tree, 2 * node, level + 1, ends)
        right = self._add(tree, 2 * node + 1, level + 1, ends)
        self._nodes.append(_Node(features[node], thresholds[node, ...], left, right))
        return None


def _compared_levels(real: npt.NDArray[np.bool_]) -> int:
    depth, ends = len(real).bit_length() - 1, 1
    for level in range(depth):
        nodes = int(real[1 << level : 2 << level].sum())
        ends += nodes
        if nodes > _MOST_NODES or ends > len(_NUMBERS):
            return level
    return depth
