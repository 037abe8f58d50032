"""Checks XGBoost's models before XGBoost reads them.

XGBoost checks the form of a model, but follows the indices in its trees without bounds.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.persistence.boosters.objectives import check_objective
from sparkml_dist.persistence.boosters.ubjson import read_ubjson
from sparkml_dist.persistence.soundness.trees import check_nodes

__all__ = ["check_xgboost"]

_MOST_CATEGORIES = 1 << 20
_MOST_GROUPS = 1 << 16
_FLAGS = ("default_left", "split_type")
_INTEGERS = ("left_children", "right_children", "split_indices", "parents", *_FLAGS)
_FLOATS = ("split_conditions", "base_weights", "loss_changes", "sum_hessian")
_SEGMENTS = ("categories_nodes", "categories_segments", "categories_sizes")


def check_xgboost(content: bytes) -> dict[str, int]:
    """Raise unless a model in UBJSON is one that XGBoost can load and predict with.

    Parameters
    ----------
    content : bytes
        Of ``Booster.save_raw("ubj")``.

    Returns
    -------
    dict
        ``features`` and ``groups``: features of a row, and numbers that are predicted for it.

    Raises
    ------
    ValueError, KeyError, TypeError
    """
    model = read_ubjson(content)
    version = _whole(model["version"])
    if len(version) != 3:
        raise ValueError("the model has no version")
    learner = model["learner"]
    own = learner["learner_model_param"]
    features, groups = _sizes(own)
    base = json.loads(own["base_score"])
    if not (isinstance(base, float | int) or (isinstance(base, list) and len(base) in (1, groups))):
        raise ValueError("the base score does not match the number of classes")
    check_objective("xgboost", learner["objective"]["name"])
    _check_objective_sizes(learner["objective"], int(own["num_class"]), groups)
    for name in ("feature_names", "feature_types"):
        texts = learner[name]
        if len(texts) not in (0, features) or not all(isinstance(t, str) for t in texts):
            raise ValueError(f"the model has {len(texts)} {name} for {features} features")
    rounds = _check_booster(learner["gradient_booster"], features, groups)
    attributes = learner["attributes"]
    if not all(isinstance(v, str) for v in attributes.values()):
        raise ValueError("an attribute of the model is not a string")
    best = attributes.get("best_iteration", "0")
    if not 0 <= int(best) < max(rounds, 1):
        raise ValueError("the model's best iteration does not exist")
    return {"features": features, "groups": groups}


def _sizes(own: dict[str, str]) -> tuple[int, int]:
    features, classes, targets = (
        int(own[name]) for name in ("num_feature", "num_class", "num_target")
    )
    groups = max(classes, targets, 1)
    if not 0 < features < 2**31 or classes < 0 or targets < 1 or groups > _MOST_GROUPS:
        raise ValueError("the model declares an invalid number of features or classes")
    if classes > 1 and targets > 1:
        raise ValueError("the model has several targets of several classes")
    return features, groups


def _check_objective_sizes(objective: dict[str, Any], classes: int, groups: int) -> None:
    """Raise unless an objective has as many outputs as the model."""
    for name, value in objective.items():
        if name == "name":
            continue
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise ValueError("a parameter of the objective is not a string")
        if "num_class" in value and int(value["num_class"]) != classes:
            raise ValueError("the objective has another number of classes than the model")
        if "quantile_alpha" in value:
            alpha = json.loads(value["quantile_alpha"])
            if not isinstance(alpha, list) or len(alpha) != groups:
                raise ValueError("the objective has another number of quantiles than the model")


def _check_booster(booster: dict[str, Any], features: int, groups: int) -> int:
    """Check trees or coefficients; return the number of rounds."""
    name = booster["name"]
    if name == "gblinear":
        weights = booster["model"]["weights"]
        if len(weights) != (features + 1) * groups or not _is(weights, np.floating):
            raise ValueError("the coefficients do not match the number of features")
        return int(booster["model"]["boosted_rounds"])
    if name == "dart":
        forest = booster["gbtree"]
        model = forest["model"]
        dropped = np.asarray(booster["weight_drop"], np.float64)
        if forest["name"] != "gbtree" or dropped.shape != (len(model["trees"]),):
            raise ValueError("the weights of the trees do not match the trees")
    elif name == "gbtree":
        model = booster["model"]
    else:
        raise ValueError(f"the booster {name!r} is not known")
    return _check_forest(model, features, groups)


def _check_forest(model: dict[str, Any], features: int, groups: int) -> int:
    trees, own = model["trees"], model["gbtree_model_param"]
    info, rounds = _whole(model["tree_info"]), _whole(model["iteration_indptr"])
    if not isinstance(trees, list) or int(own["num_trees"]) != len(trees) != 0 != len(info):
        raise ValueError("the model does not have as many trees as it declares")
    if len(info) != len(trees) or (len(info) and (info.min() < 0 or info.max() >= groups)):
        raise ValueError("a tree belongs to a class that does not exist")
    if not 0 < int(own["num_parallel_tree"]) <= max(len(trees), 1):
        raise ValueError("the model declares an invalid number of parallel trees")
    if len(rounds) and (
        rounds[0] != 0 or rounds[-1] != len(trees) or (rounds[1:] < rounds[:-1]).any()
    ):
        raise ValueError("the rounds of the model do not match its trees")
    _check_trees(trees, features)
    _check_containers(model.get("cats"), features)
    return max(len(rounds) - 1, 0)


def _check_trees(trees: Sequence[dict[str, Any]], features: int) -> None:
    if not trees:
        return
    sizes = []
    for number, tree in enumerate(trees):
        own = tree["tree_param"]
        size = int(own["num_nodes"])
        if size < 1 or int(own["num_feature"]) != features or tree["id"] != number:
            raise ValueError("a tree declares an invalid number of nodes or features")
        if int(own["size_leaf_vector"]) not in (0, 1):
            raise ValueError("a tree has several numbers in each leaf")
        if any(len(tree[name]) != size for name in (*_INTEGERS, *_FLOATS)):
            raise ValueError("the arrays of a tree do not have as many values as it has nodes")
        if not all(_is(tree[name], np.floating) for name in _FLOATS):
            raise ValueError("a tree has numbers of another type than XGBoost writes")
        sizes.append(size)
    joined = {name: np.concatenate([_whole(tree[name]) for tree in trees]) for name in _INTEGERS}
    if any(((joined[name] < 0) | (joined[name] > 1)).any() for name in _FLAGS):
        raise ValueError("a node of a tree has an invalid direction or type of split")
    leaf = joined["left_children"] == -1
    if (joined["right_children"][leaf] != -1).any():
        raise ValueError("a leaf of a tree has a child")
    count, deleted = np.array(sizes), [int(t["tree_param"]["num_deleted"]) for t in trees]
    gone = joined["split_indices"] == 2**31 - 1
    begin = np.cumsum(count) - count
    if gone[begin].any() or (np.add.reduceat(gone, begin) != deleted).any() or (gone & ~leaf).any():
        raise ValueError("the deleted nodes of a tree do not match their number")
    _check_structure(count, joined, leaf, gone, features)
    _check_categories(trees, count, joined["split_type"], leaf)


def _check_structure(
    sizes: npt.NDArray[Any],
    nodes: dict[str, npt.NDArray[Any]],
    leaf: npt.NDArray[np.bool_],
    gone: npt.NDArray[np.bool_],
    features: int,
) -> None:
    """Raise unless nodes form trees: as `check_nodes`, with nodes that pruning deleted left out."""
    begin = np.cumsum(sizes) - sizes
    first = np.repeat(begin, sizes)
    size = np.repeat(sizes, sizes)
    own = np.arange(len(leaf)) - first
    for side in ("left_children", "right_children"):
        child = nodes[side][~leaf]
        if (child <= own[~leaf]).any() or (child >= size[~leaf]).any():
            raise ValueError("a node of a tree has a child that is not a later node of the tree")
        at = child + first[~leaf]
        if gone[at].any() or (nodes["parents"][at] != own[~leaf]).any():
            raise ValueError("a node of a tree has a child with another parent")
    place = np.cumsum(~gone) - 1  # of a node among those that are left
    kept = np.add.reduceat(~gone, begin)
    start = np.repeat(place[begin], sizes)

    def moved(side: str) -> npt.NDArray[Any]:
        child = np.where(leaf, 0, nodes[side])
        found: npt.NDArray[Any] = np.where(leaf, -1, place[child + first] - start)
        return found[~gone]

    check_nodes(
        kept,
        leaf=leaf[~gone],
        left=moved("left_children"),
        right=moved("right_children"),
        feature=nodes["split_indices"][~gone],
        n_features=features,
    )


def _check_categories(
    trees: Sequence[dict[str, Any]],
    sizes: npt.NDArray[Any],
    split_type: npt.NDArray[Any],
    leaf: npt.NDArray[np.bool_],
) -> None:
    """Raise unless each split on categories has its set of them."""
    at = 0
    for tree, size in zip(trees, sizes.tolist(), strict=True):
        by_set = np.flatnonzero((split_type[at : at + size] == 1) & ~leaf[at : at + size])
        at += size
        nodes, begins, counts = (_whole(tree[name]) for name in _SEGMENTS)
        values = _whole(tree["categories"])
        if not np.array_equal(nodes, by_set) or not len(nodes) == len(begins) == len(counts):
            raise ValueError("the splits of a tree on categories do not match their sets")
        if not len(nodes):
            if len(values):
                raise ValueError("a tree has categories without a split on them")
            continue
        if (counts < 0).any() or (begins < 0).any() or (begins + counts > len(values)).any():
            raise ValueError("a split of a tree has categories beyond its list")
        if len(values) and (values.min() < 0 or values.max() >= _MOST_CATEGORIES):
            raise ValueError("a split of a tree has an invalid category")


def _check_containers(cats: Any, features: int) -> None:
    """Raise unless the categories of data frames match the features."""
    if cats is None:
        return
    begins, order = _whole(cats["feature_segments"]), _whole(cats["sorted_idx"])
    lists = cats["enc"]
    if not len(lists):
        if len(begins) or len(order):
            raise ValueError("the model has the order of categories without the categories")
        return
    if len(lists) != features or len(begins) != features + 1 or begins[0] != 0:
        raise ValueError("the categories do not match the number of features")
    if (np.diff(begins) < 0).any() or begins[-1] != len(order):
        raise ValueError("the categories of the features do not match their numbers")
    for i, known in enumerate(lists):
        count = int(begins[i + 1] - begins[i])
        own, values = order[begins[i] : begins[i + 1]], known["values"]
        if not np.array_equal(np.sort(own), np.arange(count)):
            raise ValueError("the order of the categories is not a permutation")
        if "offsets" in known:
            ends = _whole(known["offsets"])
            texts = _whole(values)
            if len(ends) != (count + 1 if count else 0) or (np.diff(ends) < 0).any():
                raise ValueError("the categories of a feature do not match their number")
            if len(texts) != (ends[-1] if count else 0) or (count and ends[0] != 0):
                raise ValueError("the categories of a feature are truncated")
            if len(texts) and (texts.min() < -128 or texts.max() > 255):
                raise ValueError("a category of a feature is not a text")
        elif len(values) != count or not isinstance(known["type"], int):
            raise ValueError("the categories of a feature do not match their number")


def _is(values: Any, kind: Any) -> bool:
    return isinstance(values, np.ndarray) and np.issubdtype(values.dtype, kind)


def _whole(values: Any) -> npt.NDArray[np.int64]:
    """Return an array of whole numbers; XGBoost writes short lists without a common type."""
    if isinstance(values, list):
        if not all(type(v) is int for v in values):
            raise ValueError("the model has other values where whole numbers belong")
        return np.array(values, np.int64)
    if not _is(values, np.integer):
        raise ValueError("the model has other values where whole numbers belong")
    found: npt.NDArray[np.int64] = values.astype(np.int64)
    return found
