"""scikit-learn's trees as nodes of an ONNX graph, with the same decisions to the bit.

skl2onnx 1.20 converts trees too, but loses the direction of missing values in decision trees, may
round the thresholds of histogram boosting up, and treats its categorical splits as numeric ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.onnx.graph import FEATURES, ML, OnnxGraph

__all__ = [
    "TreeTable",
    "add_trees",
    "is_boosted",
    "is_tree",
    "round_down",
    "tree_outputs",
    "tree_tables",
]

_FOREST = "sklearn.ensemble._forest"
_TREE = "sklearn.tree._classes"
_BOOSTED = "sklearn.ensemble._hist_gradient_boosting.gradient_boosting"
_KINDS = {
    _TREE: ("DecisionTree", "ExtraTree"),
    _FOREST: ("RandomForest", "ExtraTrees"),
    _BOOSTED: ("HistGradientBoosting",),
}


@dataclass(frozen=True)
class TreeTable:
    """The nodes of one tree.

    Attributes
    ----------
    leaf, missing_left : ndarray of bool, shape (nodes,)
    feature, left, right : ndarray of int64, shape (nodes,)
        Not used in leaves.
    threshold : ndarray of float64, shape (nodes,)
        Rows with feature <= threshold go left.
    value : ndarray of float64, shape (nodes, targets)
    targets : tuple of int
        Output positions to which the columns of `value` are added.
    """

    leaf: npt.NDArray[np.bool_]
    missing_left: npt.NDArray[np.bool_]
    feature: npt.NDArray[np.int64]
    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.float64]
    value: npt.NDArray[np.float64]
    targets: tuple[int, ...]


def is_tree(learner: Any) -> bool:
    """Return whether a learner is a tree, forest or histogram boosting of scikit-learn."""
    kind = type(learner)
    starts = _KINDS.get(kind.__module__, ())
    known = kind.__name__ in {f"{s}{k}" for s in starts for k in ("Classifier", "Regressor")}
    return known and getattr(learner, "n_outputs_", 1) == 1


def is_boosted(learner: Any) -> bool:
    """Return whether an `is_tree` learner is boosted: its trees add up to a raw prediction."""
    return type(learner).__module__ == _BOOSTED


def tree_tables(learner: Any) -> Iterator[TreeTable]:
    """Yield the trees of an `is_tree` learner, whose values add up to its (raw) prediction.

    Raises
    ------
    ValueError
        If a histogram boosting splits by categories.
    """
    if is_boosted(learner):
        for trees in learner._predictors:
            for target, tree in enumerate(trees):
                yield _boosted_table(tree.nodes, target)
        return
    members = getattr(learner, "estimators_", [learner])
    for member in members:
        tree = member.tree_
        width = int(learner.n_classes_) if hasattr(learner, "classes_") else 1
        yield TreeTable(
            tree.children_left == -1,
            np.asarray(tree.missing_go_to_left, bool),
            tree.feature.astype(np.int64),
            tree.children_left.astype(np.int64),
            tree.children_right.astype(np.int64),
            tree.threshold,
            tree.value[:, 0, :width] / len(members),
            tuple(range(width)),
        )


def _boosted_table(nodes: Any, target: int) -> TreeTable:
    leaf = nodes["is_leaf"].astype(bool)
    if (nodes["is_categorical"].astype(bool) & ~leaf).any():
        raise ValueError("it splits by categories, which ONNX trees do not support")
    return TreeTable(
        leaf,
        nodes["missing_go_to_left"].astype(bool),
        nodes["feature_idx"].astype(np.int64),
        nodes["left"].astype(np.int64),
        nodes["right"].astype(np.int64),
        nodes["num_threshold"],
        nodes["value"][:, None],
        (target,),
    )


def round_down(threshold: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return the largest float32 <= each threshold, so that ``x <= t`` is equal for float32 x."""
    with np.errstate(over="ignore"):
        nearest = np.asarray(threshold).astype(np.float32)
    lower = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > threshold, lower, nearest).astype(np.float32)


def tree_outputs(
    graph: OnnxGraph,
    learner: Any,
    features: Sequence[int] | None,
    codes: Sequence[int],
    n_targets: int,
) -> str:
    """Add an `is_tree` learner to a graph.

    Parameters
    ----------
    graph : OnnxGraph
    learner : fitted scikit-learn estimator
    features : sequence of int or None
        Columns that it was fitted on; None for all.
    codes : sequence of int
        Output column of each of the learner's own outputs.
    n_targets : int
        Number of output columns.

    Returns
    -------
    str
        Name of the sum of the trees, float32 of shape (N, n_targets).
    """
    start = None
    if is_boosted(learner):
        start = np.zeros(n_targets, np.float32)
        start[list(codes)] = np.asarray(learner._baseline_prediction).ravel()
    return add_trees(graph, tree_tables(learner), features, codes, n_targets, start)


def add_trees(
    graph: OnnxGraph,
    tables: Iterable[TreeTable],
    features: Sequence[int] | None,
    codes: Sequence[int],
    n_targets: int,
    start: npt.NDArray[np.float32] | None = None,
) -> str:
    """Add trees to a graph; return the name of their sum, float32 of shape (N, n_targets).

    Parameters
    ----------
    graph : OnnxGraph
    tables : iterable of TreeTable
    features : sequence of int or None
        Columns of their features; None for all.
    codes : sequence of int
        Output column of each of their targets.
    n_targets : int
        Number of output columns.
    start : ndarray of float32, shape (n_targets,), optional
        What the trees are added to.
    """
    columns: dict[str, list[npt.NDArray[Any]]] = {k: [] for k in (*_INTEGERS, *_FLOATS, *_MODES)}
    where = None if features is None else np.asarray(features)
    for number, table in enumerate(tables):
        for name, values in _attributes(number, table, where, codes).items():
            columns[name].append(values)
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    attributes = [_attribute(name, values) for name, values in joined.items()]
    if start is not None:
        attributes.append(_attribute("base_values", start))
    return graph.node(
        "TreeEnsembleRegressor",
        [FEATURES],
        attributes=attributes,
        domain=ML,
        n_targets=n_targets,
        post_transform="NONE",
    )


_MODES = ("nodes_modes",)
_FLOATS = ("nodes_values", "target_weights")
_INTEGERS = (
    "nodes_treeids",
    "nodes_nodeids",
    "nodes_featureids",
    "nodes_truenodeids",
    "nodes_falsenodeids",
    "nodes_missing_value_tracks_true",
    "target_treeids",
    "target_nodeids",
    "target_ids",
)


def _attributes(
    number: int, table: TreeTable, where: npt.NDArray[Any] | None, codes: Sequence[int]
) -> dict[str, npt.NDArray[Any]]:
    n, leaf = len(table.leaf), table.leaf
    feature = np.where(leaf, 0, table.feature)
    leaves = np.flatnonzero(leaf)
    width = len(table.targets)
    return {
        "nodes_treeids": np.full(n, number),
        "nodes_nodeids": np.arange(n),
        "nodes_featureids": feature if where is None else np.where(leaf, 0, where[feature]),
        "nodes_modes": np.where(leaf, b"LEAF", b"BRANCH_LEQ"),
        "nodes_values": np.where(leaf, 0, round_down(table.threshold)),
        "nodes_truenodeids": np.where(leaf, 0, table.left),
        "nodes_falsenodeids": np.where(leaf, 0, table.right),
        "nodes_missing_value_tracks_true": np.where(leaf, 0, table.missing_left),
        "target_treeids": np.full(len(leaves) * width, number),
        "target_nodeids": np.repeat(leaves, width),
        "target_ids": np.tile(np.asarray(codes)[list(table.targets)], len(leaves)),
        "target_weights": table.value[leaves].astype(np.float32).ravel(),
    }


def _attribute(name: str, values: npt.NDArray[Any]) -> Any:
    """Return a long attribute, without `onnx.helper`'s check of each of its values."""
    from onnx import AttributeProto

    attribute = AttributeProto(name=name)
    if name in _MODES:
        attribute.type = AttributeProto.STRINGS
        attribute.strings.extend(values.tolist())
    elif name in _INTEGERS:
        attribute.type = AttributeProto.INTS
        attribute.ints.extend(values.tolist())
    else:
        attribute.type = AttributeProto.FLOATS
        attribute.floats.extend(values.tolist())
    return attribute
