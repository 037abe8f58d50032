"""Checks scikit-learn's trees: children and features exist, and every path ends.

Compiled code follows a node's children and reads its feature without checking bounds. A file with
invalid indices could crash the process, or make it read memory beyond the array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["check_nodes", "check_trees"]

_LEAF = -1


def check_trees(trees: Sequence[Any], n_features: Sequence[int]) -> None:
    """Raise unless trees are valid; all are checked together.

    Parameters
    ----------
    trees : sequence of sklearn.tree._tree.Tree
    n_features : sequence of int
        Number of features of each tree's input rows.

    Raises
    ------
    ValueError
    """
    states = []
    for tree, width in zip(trees, n_features, strict=True):
        # Before reading nodes: their number comes from the file.
        if not 1 <= tree.node_count <= tree.capacity:
            raise ValueError(f"a tree declares {tree.node_count} nodes and has {tree.capacity}")
        if tree.n_features != width:
            raise ValueError(f"a tree of {tree.n_features} features gets rows of {width}")
        if tree.n_outputs < 1 or min(tree.n_classes) < 1:
            raise ValueError("a tree has no output")
        states.append(tree.__getstate__()["nodes"])
    sizes = np.array([len(nodes) for nodes in states])
    nodes = np.concatenate(states)
    left, right = nodes["left_child"], nodes["right_child"]
    check_nodes(
        sizes,
        leaf=left == _LEAF,
        left=left,
        right=right,
        feature=nodes["feature"],
        n_features=np.repeat(np.asarray(n_features), sizes),
        max_depth=np.array([tree.max_depth for tree in trees]),
    )
    if (right[left == _LEAF] != _LEAF).any():
        raise ValueError("a leaf of a tree has a child")


def check_nodes(
    sizes: npt.NDArray[Any],
    *,
    leaf: npt.NDArray[np.bool_],
    left: npt.NDArray[Any],
    right: npt.NDArray[Any],
    feature: npt.NDArray[Any],
    n_features: npt.NDArray[Any] | int,
    max_depth: npt.NDArray[Any] | None = None,
) -> None:
    """Raise unless concatenated nodes form valid trees.

    Every child is a later node of its own tree, and every node but the root has one parent.

    Parameters
    ----------
    sizes : ndarray of int, shape (trees,)
        Number of nodes of each tree, at least one.
    leaf : ndarray of bool, shape (nodes,)
    left, right : ndarray of int, shape (nodes,)
        Children, counted from a tree's first node; ignored in leaves.
    feature : ndarray of int, shape (nodes,)
    n_features : int or ndarray of int, shape (nodes,)
    max_depth : ndarray of int, shape (trees,), optional
        Depth that each tree declares.

    Raises
    ------
    ValueError
    """
    begin = np.cumsum(sizes) - sizes
    inner = np.flatnonzero(~leaf)
    tree = np.repeat(np.arange(len(sizes)), sizes)[inner]
    own, size = inner - begin[tree], sizes[tree]
    a, b = left[inner].astype(np.int64), right[inner].astype(np.int64)
    if (a <= own).any() or (b <= own).any() or (a >= size).any() or (b >= size).any():
        raise ValueError("a node of a tree has a child that is not a later node of the tree")
    width = n_features if isinstance(n_features, int) else n_features[inner]
    if (feature[inner] < 0).any() or (feature[inner] >= width).any():
        raise ValueError("a node of a tree splits on a feature that does not exist")
    first = begin[tree]
    parent = np.full(len(leaf), -1)
    parent[first + a], parent[first + b] = inner, inner
    # Each inner node has two children, and every node but the root of each tree is one.
    wanted = len(leaf) - len(sizes)
    if 2 * len(inner) != wanted or np.count_nonzero(parent >= 0) != wanted:
        raise ValueError("a node of a tree does not have exactly one parent")
    if max_depth is not None and (_depths(parent, begin) > max_depth).any():
        raise ValueError("a tree is deeper than it declares")


def _depths(parent: npt.NDArray[Any], begin: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the depth of each tree; the parents of nodes come before them.

    Pointer jumping: each pass doubles the distance to the ancestor, so that the number of passes is
    the logarithm of the depth.
    """
    depth = np.ones(len(parent), np.int64)
    depth[begin], parent[begin] = 0, begin
    while (further := depth[parent]).any():
        depth += further
        parent = parent[parent]
    found: npt.NDArray[Any] = np.maximum.reduceat(depth, begin)
    return found
