"""Checks nearest-neighbour learners: space-partitioning trees, and the rows to search."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

__all__ = ["check_neighbors", "check_space_tree"]


def check_space_tree(tree: Any) -> None:
    """Raise unless a tree over points is valid.

    Parameters
    ----------
    tree : sklearn.neighbors.KDTree or BallTree

    Raises
    ------
    ValueError
    """
    state = tree.__getstate__()
    data, order, nodes, bounds = (np.asarray(a) for a in state[:4])
    leaf_size, n_levels, n_nodes = state[4:7]
    metric, weights = state[11], state[12]
    rows, width = data.shape
    if rows < 1 or leaf_size < 1 or not 1 <= n_levels < 62 or n_nodes != (1 << n_levels) - 1:
        raise ValueError("a tree over points has an invalid size")
    if nodes.shape != (n_nodes,) or bounds.shape[1:] != (n_nodes, width):
        raise ValueError("a tree over points has the wrong number of nodes")
    # A box has two corners, a ball one centre.
    if len(bounds) != (2 if type(tree).__name__.startswith("KD") else 1):
        raise ValueError("a tree over points has the wrong bounds for its kind")
    if order.shape != (rows,) or not np.array_equal(np.sort(order), np.arange(rows)):
        raise ValueError("a tree over points does not list each of them once")
    start, end = nodes["idx_start"], nodes["idx_end"]
    if (start < 0).any() or (end < start).any() or (end > rows).any():
        raise ValueError("a node of a tree over points has an invalid range of points")
    # The children of node i are 2i + 1 and 2i + 2.
    if (nodes["is_leaf"][n_nodes // 2 :] == 0).any():
        raise ValueError("a node of a tree over points has no children")
    if weights is not None and np.asarray(weights).shape != (rows,):
        raise ValueError("a tree over points has weights that do not match its points")
    check_metric(metric, width)


def check_metric(metric: Any, width: int) -> None:
    """Raise unless a distance of scikit-learn fits points with `width` coordinates."""
    _, vector, matrix = metric.__getstate__()[:3]
    kind = type(metric).__name__
    wrong = (
        (kind.startswith("Minkowski") and len(vector) not in (0, width))
        or (kind.startswith("SEuclidean") and len(vector) != width)
        or (kind.startswith("Mahalanobis") and matrix.shape != (width, width))
        or (kind.startswith("Haversine") and width != 2)
    )
    if wrong:
        raise ValueError(f"a distance does not fit points of {width} coordinates")


def check_neighbors(learner: Any) -> None:
    """Raise unless the rows that a learner searches match its attributes.

    Parameters
    ----------
    learner : object
        A nearest-neighbour learner of any kind; fitted if it has ``_fit_X``.

    Raises
    ------
    ValueError
    """
    if "_fit_X" not in learner.__dict__:
        return
    rows = learner.__dict__["_fit_X"]
    if not (isinstance(rows, np.ndarray) or sp.issparse(rows)) or rows.ndim != 2:
        raise ValueError("the rows that it searches are not a 2-D array")
    attributes = learner.__dict__
    if attributes.get("n_samples_fit_", rows.shape[0]) != rows.shape[0]:
        raise ValueError("the rows that it searches do not match their number")
    if rows.shape[1] != attributes.get("n_features_in_"):
        raise ValueError("the rows that it searches do not match its number of features")
    tree = attributes.get("_tree")
    if tree is not None and tuple(np.asarray(tree.data).shape) != rows.shape:
        raise ValueError("its tree does not match the rows that it searches")
    codes, classes = attributes.get("_y"), attributes.get("classes_")
    if codes is None:
        return
    codes = np.asarray(codes)
    if len(codes) != rows.shape[0]:
        raise ValueError("its labels do not match the rows that it searches")
    if classes is None:
        return
    columns = [(codes, classes)] if codes.ndim == 1 else list(zip(codes.T, classes, strict=True))
    for found, known in columns:
        if found.dtype.kind not in "iu" or found.min() < 0 or found.max() >= len(known):
            raise ValueError("a row that it searches has a class that does not exist")
