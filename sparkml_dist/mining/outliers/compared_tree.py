"""The upper levels of an isolation tree, evaluated by comparisons of whole columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ComparedTree", "Workspace"]

# Most nodes of a level that are all compared: a comparison takes about 0.15 ns per row, a lookup of
# each row's own node about 4 ns.
_MOST_NODES = 20
# Ends are numbered in one byte. numpy is fastest with arrays of no dimension as scalars.
_NUMBERS = [np.array(number, np.uint8) for number in range(256)]

# Features, thresholds, and a mask of the real nodes, of a tree as a heap.
_Heap = tuple[list[int], npt.NDArray[np.float32], list[bool]]


@dataclass(frozen=True)
class _Node:
    """A node, listed after its descendants. A child is None where it is a node, else an end."""

    feature: int
    threshold: npt.NDArray[np.float32]
    left: npt.NDArray[np.uint8] | None
    right: npt.NDArray[np.uint8] | None


class Workspace:
    """Buffers for blocks of n rows: allocating them each time costs more than the arithmetic."""

    def __init__(self, n: int, depth: int) -> None:
        self.greater = np.empty(n, bool)
        self.codes = [np.empty(n, np.uint8) for _ in range(depth + 1)]


class ComparedTree:
    """Finds the node that each row of a block reaches below the upper levels of a tree.

    Every node is compared with all rows, from the leaves up; a node's outcome is that of its left
    or right child. This takes one or two vectorized byte operations per node, while a descent takes
    gathers per level, which do not vectorize. Branches of an isolation tree end early, so that it
    has few nodes.

    Parameters
    ----------
    features : ndarray of int32, shape (2**depth,)
    thresholds : ndarray of float32, shape (2**depth,)
        The tree as a heap, padded as in `IsolationTrees`.

    Attributes
    ----------
    levels : int
        Number of levels that are compared, from the root; all where the nodes are few.
    ends : ndarray of int64
        Heap node on the first level below these, for each outcome.
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
        """Return the position in `ends` that each row reaches; valid until `space` is used again.

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
        top = 0  # height of the stack of codes
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
        """Append `node` and its descendants; return the number of the end where it is one."""
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
