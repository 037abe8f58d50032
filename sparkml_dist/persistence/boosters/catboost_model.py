"""Checks CatBoost's models before CatBoost reads them.

CatBoost verifies the form of a model's core, but follows the indices in its trees without bounds,
and does not verify the tables of its categories at all.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.persistence.boosters.flatbuffer import Table, root_table
from sparkml_dist.persistence.boosters.objectives import check_objective

__all__ = ["check_catboost"]

_MAGIC = b"CBM1"
_FORMAT = "FlabuffersModel_v1"
_TABLES = "static_provider_v1"
_DEEPEST = 16
_MOST_OUTPUTS = 1 << 16
_MOST_FEATURES = 1 << 24
_STEP = np.dtype([("left", "<u2"), ("right", "<u2")])
_SPLIT = np.dtype([("index", "<i4"), ("value", "<f4")])
_BUCKET = np.dtype([("hash", "<u8"), ("index", "<u4")])
_UNUSED = np.uint64(2**64 - 1)
_MEANS = (2, 3)  # kinds of tables that hold a sum and a count
_COUNTERS = (4, 5)


def check_catboost(content: bytes) -> dict[str, int]:
    """Raise unless a model in CatBoost's binary form is one that it can load and predict with.

    Parameters
    ----------
    content : bytes
        As ``save_model(…, format="cbm")`` writes it.

    Returns
    -------
    dict
        ``features`` and ``groups``: features of a row, and numbers that are predicted for it.

    Raises
    ------
    ValueError, KeyError
    """
    core, rest = _parts(content)
    if core.text(0) != _FORMAT:
        raise ValueError(f"the model's format is not {_FORMAT}")
    trees = core.table(1)
    if trees is None:
        raise ValueError("the model has no trees")
    found = _check_core(trees)
    _check_info(core)
    known = core.texts(3)
    if any(name != _TABLES for name in known) or len(known) > 1:
        raise ValueError("the model has parts of an unknown kind, such as texts")
    if len(known) != bool(rest) or (trees.tables(7) and not rest):
        raise ValueError("the model lacks its tables of categories, or has bytes beyond its end")
    if rest:
        _check_tables(rest, trees)
    return found


def _parts(content: bytes) -> tuple[Table, bytes]:
    """Return the core of a model, and the bytes after it."""
    size = int.from_bytes(content[4:8], "little")
    if content[:4] != _MAGIC or not 0 < size <= len(content) - 8:
        raise ValueError("it is truncated, or no model of CatBoost")
    return root_table(content[8 : 8 + size]), content[8 + size :]


def _check_info(core: Table) -> None:
    """Raise unless the model's description is JSON with a known objective."""
    info = {entry.text(0): entry.text(1) for entry in core.tables(2)}
    # CatBoost's reader of JSON has no limit of depth; Python's has.
    read = {
        key: json.loads(value) for key, value in info.items() if value.lstrip()[:1] in ("{", "[")
    }
    params = read.get("params", {})
    loss = params.get("loss_function", {}).get("type")
    if loss is not None:
        check_objective("catboost", loss)


def _check_core(trees: Table) -> dict[str, int]:
    outputs = trees.number(0, "<i4")
    if not 0 < outputs <= _MOST_OUTPUTS:
        raise ValueError("the model declares an invalid number of outputs")
    floats, categories = trees.tables(5), trees.tables(4)
    if trees.tables(12) or trees.tables(13):
        raise ValueError("the model has features of texts, which are not supported")
    flat = _check_features(floats, categories)
    bins = [len(f.values(3, "<f4")) for f in floats]
    for feature in trees.tables(6):
        if not 0 <= feature.number(0, "<i4", -1) < len(categories):
            raise ValueError("a split refers to a category that does not exist")
        bins.append(len(feature.values(1, "<i4")))
    for feature in trees.tables(7):
        ctr = feature.table(0)
        base = None if ctr is None else ctr.table(0)
        if base is None:
            raise ValueError("a feature of categories is incomplete")
        _check_base(base, len(categories), len(floats))
        bins.append(len(feature.values(1, "<f4")))
    _check_trees(trees, sum(bins), outputs)
    return {"features": flat, "groups": outputs}


def _check_features(floats: list[Table], categories: list[Table]) -> int:
    """Raise unless features are numbered from 0 on; return how many there are."""
    for features in (floats, categories):
        place = 1 if features is floats else 0
        own = [f.number(place, "<i4", -1) for f in features]
        if own != list(range(len(own))):
            raise ValueError("the features of the model are not numbered from 0 on")
    flat = [f.number(2, "<i4", -1) for f in floats] + [f.number(1, "<i4", -1) for f in categories]
    if len(set(flat)) != len(flat) or any(not 0 <= i < _MOST_FEATURES for i in flat):
        raise ValueError("a feature of the model has no place of its own in a row")
    for feature in floats:
        borders = feature.values(3, "<f4")
        if np.isnan(borders).any() or (np.diff(borders) <= 0).any():
            raise ValueError("the borders of a feature are not sorted")
        if not 0 <= feature.number(5, "u1") <= 2:
            raise ValueError("a feature treats missing values in an unknown way")
    return max(flat, default=-1) + 1


def _check_base(base: Table, categories: int, floats: int) -> int:
    """Raise unless a table of categories refers to features that exist; return its kind."""
    combined = base.table(0)
    if combined is None:
        raise ValueError("a feature of categories is incomplete")
    own = combined.values(0, "<i4")
    by_value, by_category = combined.values(1, _SPLIT)["index"], combined.values(2, "<i4,<i4")["f0"]
    if not len(own) and not len(by_value) and not len(by_category):
        raise ValueError("a feature of categories combines nothing")
    for index, count in ((own, categories), (by_value, floats), (by_category, categories)):
        if len(index) and not (index.min() >= 0 and index.max() < count):
            raise ValueError("a feature of categories refers to a feature that does not exist")
    kind = int(base.number(1, "u1"))
    if kind > max(_COUNTERS):
        raise ValueError("a table of categories is of an unknown kind")
    return kind


def _check_trees(trees: Table, bins: int, outputs: int) -> None:
    splits, sizes, begins = (trees.values(i, "<i4").astype(np.int64) for i in (1, 2, 3))
    values, weights = trees.values(8, "<f8"), trees.values(9, "<f8")
    if (sizes < 0).any() or sizes.sum() != len(splits) or len(begins) not in (0, len(sizes)):
        raise ValueError("the sizes of the trees do not match their splits")
    if len(begins) and not np.array_equal(begins, np.cumsum(sizes) - sizes):
        raise ValueError("the trees do not lie one after the other")
    steps, ids = trees.values(10, _STEP), trees.values(11, "<u4").astype(np.int64)
    if not len(steps):
        if (sizes > _DEEPEST).any() or len(ids):
            raise ValueError("a tree is too deep")
        leaves = int((1 << sizes).sum())
        if len(splits) and (splits.min() < 0 or splits.max() >= bins):
            raise ValueError("a split of a tree refers to a border that does not exist")
    else:
        leaves = _check_steps(steps, ids, splits, sizes, bins, outputs, len(values))
    if len(values) != leaves * outputs or len(weights) not in (0, leaves):
        raise ValueError("the leaves of the trees do not match their values")


def _check_steps(
    steps: npt.NDArray[Any],
    ids: npt.NDArray[np.int64],
    splits: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    bins: int,
    outputs: int,
    n_values: int,
) -> int:
    """Raise unless the steps of trees without symmetry end in leaves; return the leaves."""
    if not len(steps) == len(ids) == len(splits):
        raise ValueError("the steps of the trees do not match their splits")
    end = np.repeat(np.cumsum(sizes), sizes)
    own = np.arange(len(steps))
    left, right = steps["left"].astype(np.int64), steps["right"].astype(np.int64)
    if (own + left >= end).any() or (own + right >= end).any():
        raise ValueError("a step of a tree leads out of it")
    inner = (left > 0) & (right > 0)
    used = splits[(left > 0) | (right > 0)]
    if len(used) and (used.min() < 0 or used.max() >= bins):
        raise ValueError("a split of a tree refers to a border that does not exist")
    ends = ids[~inner]
    if len(ends) and (ends.min() < 0 or ends.max() + outputs > n_values or (ends % outputs).any()):
        raise ValueError("a step of a tree ends in a leaf that does not exist")
    return n_values // outputs


def _check_tables(content: bytes, trees: Table) -> None:
    """Raise unless the tables of categories are whole, and each feature of them has one."""
    count, at = int.from_bytes(content[:4], "little"), 4
    classes: dict[Any, int] = {}
    for _ in range(count):
        size = int.from_bytes(content[at : at + 4], "little")
        if not 0 < size <= len(content) - at - 4:
            raise ValueError("a table of categories is truncated")
        table = root_table(content[at + 4 : at + 4 + size])
        classes[_base(table.table(0), trees)] = _check_table(table)
        at += 4 + size
    if at != len(content):
        raise ValueError("the model has bytes beyond its end")
    for feature in trees.tables(7):
        ctr = feature.table(0)
        assert ctr is not None  # checked with the core
        known = classes.get(_base(ctr.table(0), trees))
        if known is None:
            raise ValueError("a feature of categories has no table")
        if not 0 <= ctr.number(1, "<i4") < known:
            raise ValueError("a feature of categories refers to a class that does not exist")


def _check_table(table: Table) -> int:
    """Raise unless the entries of a table exist; return its number of classes."""
    base = table.table(0)
    assert base is not None
    kind, classes = int(base.number(1, "u1")), int(table.number(4, "<i4"))
    width = 8 if kind in _MEANS else 4
    if kind not in _MEANS and kind not in _COUNTERS:
        if not 0 < classes <= _MOST_OUTPUTS:
            raise ValueError("a table of categories has an invalid number of classes")
        width = 4 * classes
    raw, blob = table.values(1, "u1"), table.values(2, "u1")
    if len(raw) % _BUCKET.itemsize or len(blob) % width:
        raise ValueError("a table of categories is truncated")
    buckets = raw.view(_BUCKET)
    used = buckets["hash"] != _UNUSED
    # A search ends at an unused bucket, and steps by a mask of the number of buckets.
    if len(buckets) & (len(buckets) - 1) or used.all():
        raise ValueError("a table of categories has an invalid number of buckets")
    if (buckets["index"][used] >= len(blob) // width).any():
        raise ValueError("a table of categories refers to an entry that does not exist")
    return 1 if kind in (*_MEANS, *_COUNTERS) else classes


def _base(base: Table | None, trees: Table) -> Any:
    """Return what identifies a table of categories, checked."""
    if base is None:
        raise ValueError("a table of categories is incomplete")
    kind = _check_base(base, len(trees.tables(4)), len(trees.tables(5)))
    combined = base.table(0)
    assert combined is not None
    forms = ("<i4", _SPLIT, "<i4,<i4")
    return kind, *(combined.values(i, form).tobytes() for i, form in enumerate(forms))
