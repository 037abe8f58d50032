"""Isolation trees as arrays, padded to the same depth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["IsolationTrees", "average_path", "depth_of", "grow_tree"]

_EULER = 0.5772156649015329


@dataclass(frozen=True)
class IsolationTrees:
    """Trees of the same depth, each a heap: the children of node i are 2i (left) and 2i + 1.

    A branch that ends early is padded: its nodes send all rows to the left, and all its leaves have
    its path length.

    Attributes
    ----------
    features : ndarray of int32, shape (trees, 2**depth), or None
        Feature that a node splits on (standard trees); entry 0 is not used.
    normals : ndarray of float32, shape (trees, 2**depth, d), or None
        Direction that a node splits along (extended trees).
    thresholds : ndarray of float32, shape (trees, 2**depth)
        Greater values go to the right.
    paths : ndarray of float32, shape (trees, 2**depth)
        Path length of each leaf, from left to right.
    """

    features: npt.NDArray[np.int32] | None
    normals: npt.NDArray[np.float32] | None
    thresholds: npt.NDArray[np.float32]
    paths: npt.NDArray[np.float32]

    @property
    def depth(self) -> int:
        """Levels of nodes."""
        return int(self.thresholds.shape[1]).bit_length() - 1


def average_path(n: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the average path length of an unsuccessful search in a binary tree of n rows.

    Equation 1 of Liu, Ting and Zhou (2008), "Isolation Forest".
    """
    n = np.asarray(n, np.float64)
    size = np.maximum(n, 3)
    long = 2 * (np.log(size - 1) + _EULER) - 2 * (size - 1) / size
    return np.where(n > 2, long, np.where(n == 2, 1.0, 0.0))


def depth_of(samples: int) -> int:
    """Return the depth of trees of `samples` rows."""
    return max(1, math.ceil(math.log2(max(samples, 2))))


def grow_tree(
    rows: npt.NDArray[np.float32], depth: int, level: int | None, rng: np.random.Generator
) -> tuple[npt.NDArray, npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Grow one tree.

    Parameters
    ----------
    rows : ndarray of float32, shape (n, d)
    depth : int
    level : int or None
        None for a standard tree (Liu, Ting and Zhou 2008); else the extension level, from 0 to
        d - 1, of Hariri, Carrasco Kind and Brunner (2019), "Extended Isolation Forest".
    rng : numpy.random.Generator

    Returns
    -------
    features or normals : ndarray, shape (2**depth,) or (2**depth, d)
    thresholds : ndarray of float32, shape (2**depth,)
    paths : ndarray of float32, shape (2**depth,)
    """
    width = rows.shape[1]
    size = 1 << depth
    tests = np.zeros(size, np.int32) if level is None else np.zeros((size, width), np.float32)
    thresholds = np.full(size, np.inf, np.float32)
    paths = np.zeros(size, np.float32)
    stack = [(1, 0, np.arange(len(rows)))]
    while stack:
        node, at, own = stack.pop()
        right = None
        if at < depth and len(own) > 1:
            points = rows[own]
            low, high = points.min(axis=0), points.max(axis=0)
            varying = np.flatnonzero(high > low)
            if len(varying):
                if level is None:
                    feature = int(rng.choice(varying))
                    a, b = low[feature], high[feature]
                    # Below the maximum, since otherwise no row would go to the right.
                    cut = min(np.float32(rng.uniform(a, b)), np.nextafter(b, np.float32(-np.inf)))
                    tests[node], thresholds[node] = feature, cut
                    right = points[:, feature] > cut
                else:
                    normal = rng.standard_normal((width,), dtype=np.float32)
                    normal[rng.permutation(width)[level + 1 :]] = 0
                    offset = np.float32(rng.uniform(size=width) * (high - low) + low) @ normal
                    tests[node], thresholds[node] = normal, offset
                    right = points @ normal > offset
        if right is None:
            first = (node << (depth - at)) - size
            paths[first : first + (1 << (depth - at))] = at + average_path(len(own))
            continue
        stack.append((2 * node, at + 1, own[~right]))
        stack.append((2 * node + 1, at + 1, own[right]))
    return tests, thresholds, paths
