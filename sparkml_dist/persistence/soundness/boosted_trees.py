"""Checks histogram boosting: its trees and their sets of categories."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparkml_dist.persistence.soundness.packed_trees import PackedTrees
from sparkml_dist.persistence.soundness.trees import check_nodes

__all__ = ["check_histogram_boosting"]

_SETS = 8  # words of 32 categories each


def check_histogram_boosting(learner: Any) -> None:
    """Raise unless the trees of a histogram boosting are valid.

    Parameters
    ----------
    learner : HistGradientBoostingClassifier or HistGradientBoostingRegressor

    Raises
    ------
    ValueError
    """
    trees = learner.__dict__.get("_predictors")
    if trees is None:  # not fitted
        return
    if not isinstance(trees, PackedTrees):
        if not trees:
            return
        trees = PackedTrees(trees)
    sizes, splits, nodes = trees.n_nodes, trees.n_splits, trees.nodes
    _check_counts(trees)
    categorical = np.asarray(learner._bin_mapper.is_categorical_)
    width = _width(learner)
    if categorical.dtype not in (np.bool_, np.uint8) or categorical.shape != (width,):
        raise ValueError("its mask of categorical features is missing or invalid")
    leaf = nodes["is_leaf"] != 0
    check_nodes(
        sizes,
        leaf=leaf,
        left=nodes["left"],
        right=nodes["right"],
        feature=nodes["feature_idx"],
        n_features=width,
    )
    by_set = ~leaf & (nodes["is_categorical"] != 0)
    if (nodes["bitset_idx"][by_set] >= np.repeat(splits, sizes)[by_set]).any():
        raise ValueError("a node of a tree refers to a set of categories that does not exist")
    if not categorical[nodes["feature_idx"][by_set]].all():
        raise ValueError("a node of a tree splits a numeric feature by categories")


def _check_counts(trees: PackedTrees) -> None:
    """Raise unless the sizes of the packed arrays match, before they are split into trees."""
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

    counts = (trees.widths, trees.n_nodes, trees.n_splits)
    whole = all(isinstance(c, np.ndarray) and c.dtype == np.int64 and c.ndim == 1 for c in counts)
    if not whole or any((c < 0).any() for c in counts) or (trees.n_nodes < 1).any():
        raise ValueError("the counts of its trees are missing or invalid")
    if not len(trees.n_nodes) == len(trees.n_splits) == sum(trees.widths.tolist()):
        raise ValueError("the counts of its trees do not match")
    nodes = trees.nodes
    if nodes.dtype != PREDICTOR_RECORD_DTYPE or nodes.shape != (sum(trees.n_nodes.tolist()),):
        raise ValueError("the counts of its nodes do not match its nodes")
    shape = (sum(trees.n_splits.tolist()), _SETS)
    for sets in (trees.binned_bitsets, trees.raw_bitsets):
        if sets.dtype != np.uint32 or sets.shape != shape:
            raise ValueError("the counts of its sets of categories do not match")


def _width(learner: Any) -> int:
    """Return the number of features after the learner's own preprocessing."""
    if learner.__dict__.get("_preprocessor") is None:
        return int(learner.n_features_in_)
    import pandas as pd

    # A row like those of the fit: categories may be strings.
    values: list[Any] = [0.0] * int(learner.n_features_in_)
    known = learner._preprocessor.named_transformers_["encoder"].categories_
    for at, categories in zip(np.flatnonzero(learner.is_categorical_), known, strict=True):
        values[at] = categories[0]
    names = learner.__dict__.get("feature_names_in_")
    row = np.array([values]) if names is None else pd.DataFrame([values], columns=list(names))
    return int(learner._preprocess_X(row, reset=False).shape[1])
