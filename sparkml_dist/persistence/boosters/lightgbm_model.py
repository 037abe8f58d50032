"""Checks LightGBM's models before LightGBM reads them.

LightGBM jumps from tree to tree by the sizes that the head of a model declares, and follows the
indices in trees without bounds.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.persistence.boosters.objectives import check_objective

__all__ = ["check_lightgbm"]

_MOST_CLASSES = 1 << 16
_FIELDS = (
    "tree version num_class num_tree_per_iteration label_index max_feature_idx objective "
    "average_output feature_names monotone_constraints feature_infos tree_sizes"
)
_HEAD = frozenset(_FIELDS.split())
_NODES = ("split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child")
_INSIDE = ("internal_value", "internal_weight", "internal_count")
_LEAVES = ("leaf_value", "leaf_weight", "leaf_count")
_SETS = ("cat_boundaries", "cat_threshold")
# Of linear models in leaves; named so that the error is about them.
_LINEAR = ("leaf_const", "num_features", "leaf_features", "leaf_coeff")
_PLAIN = ("num_leaves", "num_cat", "is_linear", "shrinkage")
_END = b"end of trees\n"
_LARGEST = 2**31 - 1


def check_lightgbm(content: bytes) -> dict[str, int]:
    """Raise unless a model's text is one that LightGBM can load and predict with.

    Parameters
    ----------
    content : bytes
        Of ``Booster.model_to_string()``.

    Returns
    -------
    dict
        ``features`` and ``groups``: features of a row, and numbers that are predicted for it.

    Raises
    ------
    ValueError, KeyError
    """
    if b"\0" in content or b"\r" in content or not content.endswith(b"\n"):
        raise ValueError("the model is truncated, or is not a text")
    head, found, rest = content.partition(b"\n\n")
    fields = _fields(head, _HEAD)
    if not found or fields.get("version") not in ("v3", "v4"):
        raise ValueError("the model has no head of a known version")
    features = _number(fields["max_feature_idx"]) + 1
    groups = _number(fields["num_tree_per_iteration"])
    classes = _number(fields["num_class"])
    if not (0 < groups <= _MOST_CLASSES and 0 < classes <= _MOST_CLASSES and features > 0):
        raise ValueError("the model declares an invalid number of features or classes")
    _number(fields["label_index"])
    _check_objective(fields.get("objective", "custom"), classes, groups)
    for name in ("feature_names", "feature_infos"):
        if len(fields[name].split(" ")) != features:
            raise ValueError(f"the {name} do not match the number of features")
    sizes = _integers(fields["tree_sizes"])
    if len(sizes) % groups or (sizes <= 0).any():
        raise ValueError("the sizes of the trees do not match the number of classes")
    # The line break after the empty line belongs to the first tree.
    at = 0
    for number, size in enumerate(sizes.tolist()):
        _check_tree(rest[at : at + size], number, features)
        at += size
    if not rest[at:].startswith(_END):
        raise ValueError("the trees do not have the sizes that the model declares")
    _check_tail(rest[at + len(_END) :])
    return {"features": features, "groups": groups}


def _check_objective(objective: str, classes: int, groups: int) -> None:
    name, *options = objective.split(" ")
    check_objective("lightgbm", name)
    for option in options:
        key, _, value = option.partition(":")
        if key == "num_class" and _number(value) != groups:
            raise ValueError("the objective has another number of classes than the model")
    several = name in ("multiclass", "multiclassova")
    if (several and classes != groups) or (not several and name != "custom" and groups != 1):
        raise ValueError("the objective does not match the number of classes")
    if several and not any(o.startswith("num_class:") for o in options):
        raise ValueError("the objective has no number of classes")
    if name != "custom" and classes != groups:
        raise ValueError("the model has another number of classes than trees in a round")


def _fields(text: bytes, names: frozenset[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.decode().splitlines():
        key, _, value = line.partition("=")
        if key in found or key not in names:
            raise ValueError(f"the model has the field {key[:40]!r} twice, or out of place")
        found[key] = value
    return found


_TREE = frozenset((*_NODES, *_INSIDE, *_LEAVES, *_SETS, *_PLAIN, *_LINEAR))


def _check_tree(text: bytes, number: int, features: int) -> None:
    title, _, body = text.partition(b"\n")
    if title != b"Tree=%d" % number or not body.endswith(b"\n\n\n"):
        raise ValueError("a tree does not have the size that the model declares")
    fields = _fields(body.removesuffix(b"\n\n\n"), _TREE)
    if fields.get("is_linear", "0") != "0":
        raise ValueError("a tree has linear models in its leaves, which are not supported")
    leaves, sets = _number(fields["num_leaves"]), _number(fields["num_cat"])
    if leaves < 1 or sets < 0:
        raise ValueError("a tree declares an invalid number of leaves or sets of categories")
    float(fields["shrinkage"])
    _floats(fields["leaf_value"], leaves)
    if leaves == 1:
        # LightGBM reads no more of a tree that never split.
        if any(fields.get(name, "") for name in (*_NODES, *_SETS, *_INSIDE)) or sets:
            raise ValueError("a tree of one leaf has splits")
        return
    inner = leaves - 1
    for name in (*_LEAVES[1:], *_INSIDE, "split_gain"):
        if fields.get(name):
            _floats(fields[name], leaves if name in _LEAVES else inner)
    feature, kind = (_integers(fields[n], inner) for n in ("split_feature", "decision_type"))
    if (feature < 0).any() or (feature >= features).any():
        raise ValueError("a node of a tree splits on a feature that does not exist")
    if (kind < 0).any() or (kind > 15).any() or ((kind >> 2) == 3).any():
        raise ValueError("a node of a tree has an unknown kind of split")
    _check_children(
        _integers(fields["left_child"], inner), _integers(fields["right_child"], inner), leaves
    )
    threshold = _floats(fields["threshold"], inner)
    _check_sets(fields, threshold[(kind & 1) == 1], sets)


def _check_children(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], leaves: int) -> None:
    """Raise unless every node but the root, and every leaf, is the child of one earlier node."""
    inner = leaves - 1
    own = np.arange(inner)
    for child in (left, right):
        if (
            ((child >= 0) & (child <= own)).any()
            or (child >= inner).any()
            or (child < -leaves).any()
        ):
            raise ValueError("a node of a tree has a child that is not a later node of the tree")
    both = np.concatenate([left, right])
    nodes, ends = both[both >= 0], -1 - both[both < 0]
    if not np.array_equal(np.sort(nodes), np.arange(1, inner)) or not np.array_equal(
        np.sort(ends), np.arange(leaves)
    ):
        raise ValueError("a node of a tree does not have exactly one parent")


def _check_sets(fields: dict[str, str], chosen: npt.NDArray[np.float64], sets: int) -> None:
    """Raise unless the splits on categories refer to sets of them."""
    if not sets:
        if len(chosen) or any(fields.get(name, "") for name in _SETS):
            raise ValueError("a node of a tree refers to a set of categories that does not exist")
        return
    bounds, words = (
        _integers(fields["cat_boundaries"], sets + 1),
        _integers(fields["cat_threshold"]),
    )
    if bounds[0] != 0 or (np.diff(bounds) < 0).any() or bounds[-1] != len(words):
        raise ValueError("the sets of categories of a tree do not match their sizes")
    if (words < 0).any() or (words > 2**32 - 1).any():
        raise ValueError("a set of categories of a tree is invalid")
    if not ((chosen >= 0) & (chosen < sets) & (chosen == np.floor(chosen))).all():
        raise ValueError("a node of a tree refers to a set of categories that does not exist")


def _check_tail(text: bytes) -> None:
    """Raise unless what follows the trees is what LightGBM writes there."""
    lines = text.decode().splitlines()
    if not lines or not lines[-1].startswith("pandas_categorical:"):
        lines = [line for line in lines if line]
        last = "pandas_categorical:null"
    else:
        last = lines.pop()
    known = json.loads(last.partition(":")[2])
    if known is not None and not (
        isinstance(known, list) and all(isinstance(k, list) for k in known)
    ):
        raise ValueError("the categories of data frames are not lists")
    for line in lines:
        plain = not line or line in ("feature_importances:", "parameters:", "end of parameters")
        if not (plain or "=" in line or (line.startswith("[") and line.endswith("]"))):
            raise ValueError("the model has text after its trees that does not belong there")


def _number(text: str) -> int:
    if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit():
        raise ValueError("the model has another value where a whole number belongs")
    value = int(text)
    if abs(value) > _LARGEST:
        raise ValueError("the model has a whole number that is too large")
    return value


def _integers(text: str, count: int | None = None) -> npt.NDArray[np.int64]:
    words = text.split(" ") if text else []
    if not all(w.removeprefix("-").isdigit() and len(w) < 12 for w in words) or not text.isascii():
        raise ValueError("the model has other values where whole numbers belong")
    return _counted(np.array(words, dtype=np.int64), count)


def _floats(text: str, count: int) -> npt.NDArray[np.float64]:
    return _counted(np.array(text.split(" ") if text else [], dtype=np.float64), count)


def _counted(values: npt.NDArray[Any], count: int | None) -> npt.NDArray[Any]:
    if count is not None and len(values) != count:
        raise ValueError("a list of a tree does not have as many values as the tree declares")
    return values
