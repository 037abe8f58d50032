"""Cells of continuous states: quantile bins, nearest centres, leaves of a tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.arrays import check_array

__all__ = ["Cells", "CellsKind", "fit_cells"]

CellsKind = Literal["quantile", "kmeans", "tree"]
Floats = npt.NDArray[np.float64]
_NAMES = {
    "quantile": ("edges", "offsets"),
    "kmeans": ("centers", "mean", "scale"),
    "tree": ("feature", "threshold", "left", "right"),
}


@dataclass(frozen=True)
class Cells:
    """Maps states to the features of their cells.

    Attributes
    ----------
    kind : {"quantile", "kmeans", "tree"}
        A bin of each feature, the number of the nearest centre, or that of a tree's leaf.
    arrays : dict of ndarray
        What defines the cells.
    """

    kind: CellsKind
    arrays: Mapping[str, npt.NDArray[Any]]

    def __call__(self, states: Floats) -> Floats:
        """Return the cells of states (n, d): shape (n, d) for bins, (n, 1) otherwise."""
        a = self.arrays
        if self.kind == "quantile":
            ends = a["offsets"]
            bins = [
                np.searchsorted(a["edges"][ends[i] : ends[i + 1]], column, side="right")
                for i, column in enumerate(states.T)
            ]
            return np.column_stack(bins).astype(np.float64)
        if self.kind == "kmeans":
            points = (states - a["mean"]) / a["scale"]
            far = (a["centers"] ** 2).sum(axis=1) - 2 * points @ a["centers"].T
            return far.argmin(axis=1).astype(np.float64)[:, None]
        node = np.zeros(len(states), np.int64)
        rows = np.arange(len(states))
        while (inner := a["left"][node] >= 0).any():
            goes_left = states[rows, np.maximum(a["feature"][node], 0)] <= a["threshold"][node]
            child = np.where(goes_left, a["left"][node], a["right"][node])
            node = np.where(inner, child, node)
        return node.astype(np.float64)[:, None]

    @classmethod
    def from_arrays(cls, kind: str, arrays: Mapping[str, Any], n_state: int) -> Cells:
        """Return the cells of saved arrays.

        Raises
        ------
        StorageError
            ``array_damaged``.
        """
        if kind not in _NAMES:
            raise ValueError(f"there are no cells of the kind {kind!r}")
        found = {name: arrays.get(name) for name in _NAMES[kind]}
        if kind == "quantile":
            check_array(found, "edges", (None,))
            check_array(found, "offsets", (n_state + 1,), below=len(found["edges"]) + 1)  # type: ignore[arg-type]
        elif kind == "kmeans":
            check_array(found, "centers", (None, n_state))
            check_array(found, "mean", (n_state,))
            check_array(found, "scale", (n_state,))
        else:
            check_array(found, "threshold", (None,))
            n = len(found["threshold"])  # type: ignore[arg-type]
            for name in ("feature", "left", "right"):
                check_array(found, name, (n,))
            left, right, feature = (np.asarray(found[k]) for k in ("left", "right", "feature"))
            inner = left >= 0
            # Children come after their parents, so that the walk down ends.
            ahead = (np.minimum(left, right)[inner] > np.flatnonzero(inner)).all()
            if not (ahead and (np.maximum(left, right) < n).all() and (feature < n_state).all()):
                raise StorageError(
                    "array_damaged",
                    "The model's tree of cells is not a tree.",
                    "It was altered; restore it, or fit the model again.",
                )
        return cls(kind, found)  # type: ignore[arg-type]


def fit_cells(kind: CellsKind, number: int, states: Floats, returns: Floats, seed: int) -> Cells:
    """Return cells that fit a sample of states.

    Parameters
    ----------
    kind : {"quantile", "kmeans", "tree"}
    number : int
        Bins of a feature; or centres, or leaves.
    states : ndarray, shape (n, d)
        In an order that does not depend on shards.
    returns : ndarray, shape (n,)
        Discounted rewards from each row on: what the leaves of a tree tell apart.
    seed : int
    """
    if kind == "quantile":
        edges = []
        for column in states.T:
            values = np.unique(column)
            if len(values) > number:
                inner = np.quantile(column, np.linspace(0, 1, number + 1)[1:-1])
                edges.append(np.unique(inner))
            else:
                edges.append((values[1:] + values[:-1]) / 2)
        offsets = np.cumsum([0, *map(len, edges)])
        return Cells("quantile", {"edges": np.concatenate(edges), "offsets": offsets})
    if kind == "kmeans":
        from sklearn.cluster import KMeans

        mean, scale = states.mean(axis=0), states.std(axis=0)
        scale[scale == 0] = 1.0
        points = (states - mean) / scale
        most = min(number, len(np.unique(points, axis=0)))
        found = KMeans(most, n_init=1, random_state=seed).fit(points)
        return Cells("kmeans", {"centers": found.cluster_centers_, "mean": mean, "scale": scale})
    from sklearn.tree import DecisionTreeRegressor

    tree = DecisionTreeRegressor(max_leaf_nodes=max(2, number), random_state=seed)
    built = tree.fit(states, returns).tree_
    return Cells(
        "tree",
        {
            "feature": built.feature.astype(np.int64),
            "threshold": built.threshold.copy(),
            "left": built.children_left.astype(np.int64),
            "right": built.children_right.astype(np.int64),
        },
    )
