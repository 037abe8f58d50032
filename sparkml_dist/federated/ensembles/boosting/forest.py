"""Trees of a boosted model as arrays, and the way of rows through them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Forest", "Tree"]

_FIELDS = {"feature": "i4", "cut": "i4", "left": "i4", "right": "i4"}
_MOST_NODES = 1 << 20


@dataclass
class Tree:
    """One tree; node 0 is the root, and a leaf has the feature -1.

    Attributes
    ----------
    group : int
        Class whose score the tree adds to; 0 where there is one score.
    feature, cut, left, right : list of int
        Of each node: rows whose feature's bin is ``cut`` or less go left.
    missing_left : list of bool
        Whether rows without a value go left.
    value : list of float
        Of each leaf, times the learning rate; 0 for other nodes.
    gain, hessian : list of float
        Of each node, for reports.
    """

    group: int
    feature: list[int] = field(default_factory=lambda: [-1])
    cut: list[int] = field(default_factory=lambda: [0])
    left: list[int] = field(default_factory=lambda: [-1])
    right: list[int] = field(default_factory=lambda: [-1])
    missing_left: list[bool] = field(default_factory=lambda: [False])
    value: list[float] = field(default_factory=lambda: [0.0])
    gain: list[float] = field(default_factory=lambda: [0.0])
    hessian: list[float] = field(default_factory=lambda: [0.0])

    def __len__(self) -> int:
        return len(self.feature)

    def split(
        self, node: int, feature: int, cut: int, *, missing_left: bool, gain: float
    ) -> tuple[int, int]:
        """Give a leaf two children, and return their numbers."""
        first = len(self)
        self.feature[node], self.cut[node] = feature, cut
        self.left[node], self.right[node] = first, first + 1
        self.missing_left[node], self.gain[node] = missing_left, gain
        self.value[node] = 0.0
        for values in (self.feature, self.left, self.right):
            values += [-1, -1]
        self.cut += [0, 0]
        self.missing_left += [False, False]
        for numbers in (self.value, self.gain, self.hessian):
            numbers += [0.0, 0.0]
        return first, first + 1


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees one after the other, as a message carries them.

    Attributes
    ----------
    arrays : dict of ndarray
        ``feature``, ``cut``, ``left``, ``right`` (int32), ``missing_left`` (uint8) and ``value``
        (float32) of all nodes; children are numbered within their tree. ``start`` (int32): the
        first node of each tree, and the number of nodes. ``group`` (int32) of each tree.
    """

    arrays: Mapping[str, npt.NDArray[Any]]

    @classmethod
    def of(cls, trees: list[Tree]) -> Forest:
        """Return trees as arrays."""
        found: dict[str, npt.NDArray[Any]] = {
            name: np.array([v for tree in trees for v in getattr(tree, name)], kind)
            for name, kind in {**_FIELDS, "missing_left": "u1", "value": "f4"}.items()
        }
        found["start"] = np.cumsum([0, *map(len, trees)]).astype("i4")
        found["group"] = np.array([tree.group for tree in trees], "i4")
        return cls(found)

    def __len__(self) -> int:
        return len(self.arrays["group"])

    def check(self, n_features: int, groups: int) -> None:
        """Raise ValueError unless the arrays are trees of these features: they came in a message.

        Parameters
        ----------
        n_features : int
        groups : int
            Scores of a row.
        """
        own = self.arrays
        start, group = own["start"], own["group"]
        nodes = len(own["feature"])
        if len(start) != len(group) + 1 or start[0] != 0 or start[-1] != nodes:
            raise ValueError("the trees do not match their nodes")
        if (np.diff(start) < 1).any() or nodes > _MOST_NODES:
            raise ValueError("a tree has no nodes, or too many")
        if any(len(own[name]) != nodes for name in (*_FIELDS, "missing_left", "value")):
            raise ValueError("the nodes of the trees are incomplete")
        if len(group) and (group.min() < 0 or group.max() >= groups):
            raise ValueError("a tree belongs to a class that does not exist")
        if nodes and (own["feature"].min() < -1 or own["feature"].max() >= n_features):
            raise ValueError("a tree asks for a feature that does not exist")
        inner = own["feature"] >= 0
        number = np.arange(nodes) - np.repeat(start[:-1], np.diff(start))
        size = np.repeat(np.diff(start), np.diff(start))
        for side in ("left", "right"):
            child = own[side]
            if ((child <= number) | (child >= size))[inner].any():
                raise ValueError("a node's child is not a later node of its tree")

    def leaves(self, tree: int, bins: npt.NDArray[Any], missing: int) -> npt.NDArray[np.int64]:
        """Return the leaf that each row reaches, as a number of all nodes, shape (n,).

        Parameters
        ----------
        tree : int
        bins : ndarray of int, shape (n, n_features)
            Bin of each value.
        missing : int
            The bin of missing values.
        """
        own = self.arrays
        first = int(own["start"][tree])
        at = np.full(len(bins), first, np.int64)
        rows = np.arange(len(bins))
        while len(rows):
            inner = own["feature"][at[rows]] >= 0
            rows = rows[inner]
            node = at[rows]
            found = bins[rows, own["feature"][node]]
            left = np.where(
                found == missing, own["missing_left"][node] == 1, found <= own["cut"][node]
            )
            at[rows] = first + np.where(left, own["left"][node], own["right"][node])
        return at

    def add_to(self, margin: npt.NDArray[np.float64], bins: Any, missing: int, first: int) -> None:
        """Add the values of the trees from `first` on to the scores of rows, shape (n, groups)."""
        for tree in range(first, len(self)):
            group = int(self.arrays["group"][tree])
            margin[:, group] += self.arrays["value"][self.leaves(tree, bins, missing)]
