"""Boosters as nodes of an ONNX graph."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.onnx.graph import OnnxGraph
from sparkml_dist.onnx.trees import TreeTable, add_trees

__all__ = ["add_booster", "probe_rows"]

_LINKS = {
    "binary:logistic": "Sigmoid",
    "reg:logistic": "Sigmoid",
    "count:poisson": "Exp",
    "reg:gamma": "Exp",
    "reg:tweedie": "Exp",
}


def add_booster(graph: OnnxGraph, booster: Any, n_classes: int) -> str:
    """Add a booster to a graph.

    Parameters
    ----------
    graph : OnnxGraph
    booster : xgboost.Booster
    n_classes : int
        0 for a regression.

    Returns
    -------
    str
        Name of its probabilities, shape (N, n_classes), or predictions, shape (N,).

    Raises
    ------
    ConfigurationError
        ``onnx_not_supported`` for splits by categories.
    """
    learner = _learner(booster)
    trees, groups = _trees(learner), max(1, n_classes if n_classes > 2 else 1)
    objective = learner["objective"]["name"]
    tables = [_table(tree, group) for tree, group in trees]
    start = _start(learner, objective, groups)
    total = add_trees(graph, tables, None, range(groups), groups, start)
    if n_classes > 2:
        return graph.node("Softmax", [total], axis=1)
    if objective in _LINKS:
        total = graph.node(_LINKS[objective], [total])
    if n_classes:
        rest = graph.node("Sub", [graph.constant(1.0, "float32"), total])
        return graph.node("Concat", [rest, total], axis=1)
    return graph.node("Reshape", [total, graph.constant([-1], np.int64)])


def probe_rows(booster: Any, n_features: int, rows: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Return random rows: values at thresholds, near them, and missing."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, n_features), dtype=np.float32)
    for tree, _ in _trees(_learner(booster)):
        inner = np.asarray(tree["left_children"]) >= 0
        features = np.asarray(tree["split_indices"])[inner]
        values = np.asarray(tree["split_conditions"], np.float32)[inner]
        at = rng.integers(0, rows, len(features))
        X[at, features] = values
    X[rng.random(X.shape) < 0.05] = np.nan
    return X


def _learner(booster: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(booster.save_raw("json"))["learner"]
    return found


def _trees(learner: dict[str, Any]) -> list[tuple[dict[str, Any], int]]:
    model = learner["gradient_booster"]["model"]
    return list(zip(model["trees"], model["tree_info"], strict=True))


def _table(tree: dict[str, Any], group: int) -> TreeTable:
    if len(tree["categories_nodes"]):
        raise ConfigurationError(
            "onnx_not_supported",
            "A booster that splits by categories cannot be converted to ONNX: it has no such "
            "splits.",
            "Use model.booster, or encode the categories as numbers.",
        )
    left = np.asarray(tree["left_children"], np.int64)
    leaf = left < 0
    threshold = np.asarray(tree["split_conditions"], np.float32)
    return TreeTable(
        leaf=leaf,
        missing_left=np.asarray(tree["default_left"], bool),
        feature=np.asarray(tree["split_indices"], np.int64),
        left=left,
        right=np.asarray(tree["right_children"], np.int64),
        # XGBoost sends values below a threshold to the left, ONNX those up to it.
        threshold=np.nextafter(threshold, np.float32(-np.inf)).astype(np.float64),
        value=threshold.astype(np.float64).reshape(-1, 1),  # of a leaf, its value
        targets=(group,),
    )


def _start(learner: dict[str, Any], objective: str, groups: int) -> npt.NDArray[np.float32]:
    """Return the margins that the trees are added to, shape (groups,)."""
    base = np.asarray(json.loads(learner["learner_model_param"]["base_score"]), np.float64)
    start = np.broadcast_to(base.ravel(), groups).copy()
    link = _LINKS.get(objective)
    if link == "Sigmoid":
        start = np.log(start / (1 - start))
    elif link == "Exp":
        start = np.log(start)
    return start.astype(np.float32)
