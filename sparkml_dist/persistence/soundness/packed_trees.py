"""Packs the hundreds of trees of a histogram boosting into a few arrays while it is saved.

skops saves each tree as several files and a page of JSON, in Python: 0.4 s for 400 trees, a lot
compared with the seconds of the fit. Packed trees take a hundredth of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np

__all__ = ["PackedTrees", "packed", "unpacked"]

_BOOSTING = "sklearn.ensemble._hist_gradient_boosting.gradient_boosting"


class PackedTrees(Sequence[list[Any]]):
    """Replaces the list of trees in scikit-learn's ``_predictors``.

    A learner with it predicts as before, so that its file can be loaded with skops alone when this
    package is importable.

    Parameters
    ----------
    iterations : sequence of list of TreePredictor
        The trees of each iteration: one, or one for each class.

    Attributes
    ----------
    widths : ndarray of int64, shape (n_iterations,)
        Trees of each iteration.
    nodes : ndarray of scikit-learn's record of a node
        Nodes of all trees, one tree after the other.
    n_nodes, n_splits : ndarray of int64, shape (n_trees,)
        Number of nodes, and of splits on categories, of each tree.
    binned_bitsets, raw_bitsets : ndarray of uint32, shape (n_categorical_splits, 8)
    """

    def __init__(self, iterations: Sequence[Sequence[Any]]) -> None:
        trees = [tree for iteration in iterations for tree in iteration]
        self.widths = np.array([len(iteration) for iteration in iterations], np.int64)
        self.nodes = np.concatenate([tree.nodes for tree in trees])
        self.n_nodes = np.array([len(tree.nodes) for tree in trees], np.int64)
        self.n_splits = np.array([len(tree.raw_left_cat_bitsets) for tree in trees], np.int64)
        self.binned_bitsets = np.concatenate([tree.binned_left_cat_bitsets for tree in trees])
        self.raw_bitsets = np.concatenate([tree.raw_left_cat_bitsets for tree in trees])

    def __len__(self) -> int:
        """Return the number of iterations."""
        return len(self.widths)

    @overload
    def __getitem__(self, index: int) -> list[Any]: ...

    @overload
    def __getitem__(self, index: slice) -> list[list[Any]]: ...

    def __getitem__(self, index: int | slice) -> list[Any] | list[list[Any]]:
        """Return the trees of one iteration, or of several."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        first = int(self.widths[:at].sum())
        return list(self._trees(first, first + int(self.widths[at])))

    def lists(self) -> list[list[Any]]:
        """Return scikit-learn's lists of trees; their arrays are views of the packed arrays."""
        trees = self._trees(0, len(self.n_nodes))
        return [[next(trees) for _ in range(width)] for width in self.widths]

    def _trees(self, first: int, last: int) -> Iterator[Any]:
        from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

        node, split = int(self.n_nodes[:first].sum()), int(self.n_splits[:first].sum())
        for t in range(first, last):
            nodes = self.nodes[node : node + self.n_nodes[t]]
            own = slice(split, split + self.n_splits[t])
            yield TreePredictor(nodes, self.binned_bitsets[own], self.raw_bitsets[own])
            node, split = node + len(nodes), own.stop


def packed(learner: Any) -> Any:
    """Return the learner to save: a shallow copy with packed trees, or the learner itself.

    Parameters
    ----------
    learner : fitted scikit-learn estimator
        A histogram boosting, or a pipeline that ends in one.
    """
    if _is_pipeline(learner):
        *steps, (name, last) = learner.steps
        inner = packed(last)
        return learner if inner is last else _changed(learner, steps=[*steps, (name, inner)])
    trees = vars(learner).get("_predictors") if type(learner).__module__ == _BOOSTING else None
    if not trees or not all(map(_can_be_packed, trees)):
        return learner
    return _changed(learner, _predictors=PackedTrees(trees))


def unpacked(learner: Any) -> Any:
    """Return a loaded learner with its trees in scikit-learn's form."""
    if _is_pipeline(learner):
        unpacked(learner.steps[-1][1])
    elif isinstance(trees := getattr(learner, "_predictors", None), PackedTrees):
        learner._predictors = trees.lists()
    return learner


def _is_pipeline(learner: Any) -> bool:
    return type(learner).__module__ == "sklearn.pipeline" and bool(getattr(learner, "steps", None))


def _can_be_packed(iteration: Sequence[Any]) -> bool:
    return all(
        isinstance(getattr(tree, "nodes", None), np.ndarray)
        and len(tree.binned_left_cat_bitsets) == len(tree.raw_left_cat_bitsets)
        for tree in iteration
    )


def _changed(learner: Any, **attributes: Any) -> Any:
    copied = object.__new__(type(learner))
    copied.__dict__.update(vars(learner), **attributes)
    return copied
