"""Boosted trees in XGBoost's own form, which the models of `sparkml_dist.boosting` score with."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from sparkml_dist.boosting.boosting_job import MODEL_FILE
from sparkml_dist.boosting.saved_booster import loaded_booster, require_xgboost
from sparkml_dist.federated.ensembles.boosting.boosting import BoostedTrees
from sparkml_dist.federated.ensembles.boosting.forest import Tree

__all__ = ["MODEL_FILE", "booster_content"]

_NO_PARENT = 2**31 - 1


def booster_content(found: BoostedTrees, n_features: int) -> bytes:
    """Return boosted trees as an XGBoost model in UBJSON, checked as one that is loaded.

    Parameters
    ----------
    found : BoostedTrees
    n_features : int

    Raises
    ------
    ConfigurationError
        ``booster_missing``.
    """
    model = _empty_model(found, n_features)
    forest = model["learner"]["gradient_booster"]["model"]
    groups = found.objective.groups
    forest["trees"] = [
        _tree(tree, number, n_features, found) for number, tree in enumerate(found.trees)
    ]
    forest["tree_info"] = [tree.group for tree in found.trees]
    forest["iteration_indptr"] = [*range(0, len(found.trees) + 1, groups)]
    forest["gbtree_model_param"]["num_trees"] = str(len(found.trees))
    booster = require_xgboost().Booster()
    booster.load_model(bytearray(json.dumps(model).encode()))
    content = bytes(booster.save_raw("ubj"))
    loaded_booster(content, "the federated model")
    return content


def _empty_model(found: BoostedTrees, n_features: int) -> dict[str, Any]:
    """Return a model of XGBoost without trees, in the form of the installed version."""
    xgboost = require_xgboost()
    classes = found.objective.n_classes
    settings: dict[str, Any] = {"objective": "reg:squarederror", "base_score": found.base}
    if classes == 2:
        settings = {
            "objective": "binary:logistic",
            "base_score": 1 / (1 + math.exp(-found.base)),
        }
    elif classes:
        settings = {"objective": "multi:softprob", "num_class": classes, "base_score": 0.5}
    rows = xgboost.DMatrix(
        np.zeros((max(classes, 1), n_features), np.float32), np.arange(max(classes, 1))
    )
    booster = xgboost.train({**settings, "max_depth": 1}, rows, num_boost_round=0)
    model: dict[str, Any] = json.loads(booster.save_raw("json"))
    return model


def _tree(tree: Tree, number: int, n_features: int, found: BoostedTrees) -> dict[str, Any]:
    size = len(tree)
    inner = [feature >= 0 for feature in tree.feature]
    parents = [_NO_PARENT] * size
    for node in range(size):
        if inner[node]:
            parents[tree.left[node]] = parents[tree.right[node]] = node
    conditions = [
        float(found.cuts[tree.feature[node]][tree.cut[node]]) if inner[node] else tree.value[node]
        for node in range(size)
    ]
    return {
        "base_weights": list(tree.value),
        "categories": [],
        "categories_nodes": [],
        "categories_segments": [],
        "categories_sizes": [],
        "default_left": [int(left) for left in tree.missing_left],
        "id": number,
        "left_children": list(tree.left),
        "loss_changes": list(tree.gain),
        "parents": parents,
        "right_children": list(tree.right),
        "split_conditions": conditions,
        "split_indices": [max(feature, 0) for feature in tree.feature],
        "split_type": [0] * size,
        "sum_hessian": list(tree.hessian),
        "tree_param": {
            "num_deleted": "0",
            "num_feature": str(n_features),
            "num_nodes": str(size),
            "size_leaf_vector": "1",
        },
    }
