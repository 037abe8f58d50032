"""scikit-learn's trees: nodes whose children and features are there, with an end to every way.

Compiled code follows a node's children and reads the features that it names without a look at
how many there are. A file that says otherwise ends the process, or has it read what lies beside
the array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["check_nodes", "check_trees"]

_LEAF = -1


def check_trees(trees: Sequence[Any], n_features: Sequence[int]) -> None:
    """Raise unless trees are sound; all of them are looked at in one go.

    Parameters
    ----------
    trees : sequence of sklearn.tree._tree.Tree
    n_features : sequence of int
        Features of the rows that each tree will be asked about.

    Raises
    ------
    ValueError
    """
    states = []
    for tree, width in zip(trees, n_features, strict=True):
        # Before anything is read of its nodes: how many there are is the file's word.
        if not 1 <= tree.node_count <= tree.capacity:
            raise ValueError(f"a tree declares {tree.node_count} nodes and has {tree.capacity}")
        if tree.n_features != width:
            raise ValueError(f"a tree of {tree.n_features} features is asked about {width}")
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
    """Raise unless the nodes of trees, one tree after the other, make trees.

    Every child is a later node of its own tree, and every node but the first is the child of one.

    Parameters
    ----------
    sizes : ndarray of int, shape (trees,)
        Nodes of each tree; each has one at least.
    leaf : ndarray of bool, shape (nodes,)
    left, right : ndarray of int, shape (nodes,)
        Children, counted from a tree's first node; not looked at in leaves.
    feature : ndarray of int, shape (nodes,)
    n_features : int or ndarray of int, shape (nodes,)
    max_depth : ndarray of int, shape (trees,), optional
        How deep each tree says that it is.

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
        raise ValueError("a node of a tree looks at a feature that there is not")
    children = np.concatenate([begin[tree] + a, begin[tree] + b])
    parents = np.bincount(children, minlength=len(leaf))
    parents[begin] += 1
    if (parents != 1).any():
        raise ValueError("a node of a tree has not one parent")
    if max_depth is not None:
        _check_depth(begin, inner, children, max_depth, sizes)


def _check_depth(
    begin: npt.NDArray[Any],
    inner: npt.NDArray[Any],
    children: npt.NDArray[Any],
    max_depth: npt.NDArray[Any],
    sizes: npt.NDArray[Any],
) -> None:
    """Raise where a tree is deeper than it says."""
    n = int(sizes.sum())
    first, second = np.full(n, -1), np.full(n, -1)
    first[inner], second[inner] = children[: len(inner)], children[len(inner) :]
    allowed = np.repeat(max_depth, sizes)
    level, nodes = 0, begin
    while len(nodes):
        if (allowed[nodes] < level).any():
            raise ValueError("a tree is deeper than it says")
        nodes = nodes[first[nodes] >= 0]
        nodes = np.concatenate([first[nodes], second[nodes]])
        level += 1
