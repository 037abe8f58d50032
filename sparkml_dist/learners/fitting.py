"""Fits one learner and commits it: what all ensemble methods do inside their tasks."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.learners.booster_learner import BoosterLearner
from sparkml_dist.learners.learner import Traits
from sparkml_dist.learners.named_learner import NamedLearner
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import dump_learner

__all__ = ["MEMBERS", "RECORD", "committed_members", "fit_learner", "member_traits", "store_member"]

MEMBERS = "members"
#: Entry of a record in memory: the file that it is read from, as in a manifest.
RECORD = "record"
_WARNINGS_KEPT = 3


def fit_learner(
    learner: Any,
    X: Any,
    y: npt.NDArray[Any],
    weight: npt.NDArray[Any] | None,
    traits: Traits,
    keys: npt.NDArray[np.int64] | None = None,
) -> tuple[Any, float, list[str]]:
    """Fit a learner that `prepare` returned.

    Parameters
    ----------
    learner : scikit-learn estimator
        Fitted in place. A classifier whose rows with positive weight all have one class is replaced
        by a constant, because many classifiers refuse a single class.
    X : ndarray or csr_matrix, shape (n, d)
    y : ndarray of shape (n,)
    weight : ndarray of shape (n,), or None
        A class whose rows all have weight 0 is dropped.
    traits : Traits
    keys : ndarray of int64, shape (n,), optional
        Row keys, by which a booster that stops early holds out rows; positions by default.

    Returns
    -------
    fitted : scikit-learn estimator
    seconds : float
        Of the fit alone.
    texts : list of str
        Texts of the first warnings.
    """
    from sklearn.dummy import DummyClassifier

    extra: dict[str, Any] = {}
    seen = np.empty(0)
    if not traits.is_regressor:
        seen = np.unique(y if weight is None else y[weight > 0])
        if weight is not None and len(seen) < len(np.unique(y)):
            # Some learners drop such a class silently, so that their columns would be misaligned.
            counts = np.flatnonzero(np.isin(y, seen))
            X, y, weight = X[counts], y[counts], weight[counts]
            keys = None if keys is None else keys[counts]
    if traits.bins:
        X = _without_empty_features(X)
    if len(seen) == 1:
        learner = DummyClassifier(strategy="constant", constant=seen[0])
        X, y = X[:1], seen
    elif weight is not None:
        extra = {str(traits.weight_parameter): weight}
    inner = learner.learner if isinstance(learner, NamedLearner) else learner
    if isinstance(inner, BoosterLearner) and keys is not None:
        extra["keys"] = keys
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        learner.fit(X, y, **extra)
    seconds = time.perf_counter() - start
    texts = [f"{w.category.__name__}: {str(w.message).splitlines()[0]}" for w in caught]
    if len(seen) == 1:
        texts.insert(0, "only one class in the bag: the member always predicts it")
    return learner, seconds, list(dict.fromkeys(texts))[:_WARNINGS_KEPT]


def _without_empty_features(X: Any) -> Any:
    """Return features with 0 in place of those that have no value at all.

    A learner that bins features cannot find bins for a feature without values. It never splits on a
    constant, so the feature is ignored, as it should be.
    """
    if not isinstance(X, np.ndarray) or not len(X):
        return X
    empty = np.isnan(X[0])
    if empty.any():
        at = np.flatnonzero(empty)
        empty = at[np.isnan(X[:, at]).all(axis=0)]
        if len(empty):
            X = X.copy()
            X[:, empty] = 0.0
    return X


def member_traits(traits: Traits, features: npt.NDArray[np.int64] | None) -> dict[str, Any]:
    """Return the fields of a record that determine the input of the member when it is loaded."""
    return {
        "features": None if features is None else features.tolist(),
        "dtype": traits.dtype,
        "allows_missing": traits.allows_missing,
        "allows_sparse": traits.allows_sparse,
        "encodes": traits.encodes,
    }


def store_member(
    folder: Folder, stem: str, fitted: Any, record: dict[str, Any], *, trusted: Sequence[str] = ()
) -> dict[str, Any]:
    """Commit a fitted learner to ``members/`` of a model's folder.

    Parameters
    ----------
    folder : Folder
        The model's.
    stem : str
        Name of the member's files, without suffix.
    fitted : scikit-learn estimator
    record : dict
        JSON values to store beside it.
    trusted : sequence of str
        Types that the file may contain in addition to the allow-list.

    Returns
    -------
    dict
        The record, with ``file``, ``bytes`` and ``sha256``, and under `RECORD` the same of the
        record's own file. A member is committed once its record is written.
    """
    content = dump_learner(fitted, trusted=trusted)
    home = folder.child(MEMBERS)
    home.write_bytes(f"{stem}.skops", content)
    record = record | {
        "file": f"{MEMBERS}/{stem}.skops",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    text = (json.dumps(record, indent=1) + "\n").encode()
    home.write_bytes(f"{stem}.json", text)
    return _with_own_file(record, f"{stem}.json", text)


def _with_own_file(record: dict[str, Any], name: str, content: bytes) -> dict[str, Any]:
    """Return a record with the entry of its own file, which a manifest then need not read again."""
    digest = hashlib.sha256(content).hexdigest()
    own = {"name": f"{MEMBERS}/{name}", "bytes": len(content), "sha256": digest}
    return record | {RECORD: own}


def committed_members(folder: Folder) -> dict[int, dict[str, Any]]:
    """Return the records of the members committed in a model's folder, by position.

    The folder is listed once, and each record is read once.
    """
    home = folder.child(MEMBERS)
    sizes = {f"{MEMBERS}/{info.base_name}": info.size for info in home.files()}
    names = sorted(n for n in (x.rpartition("/")[2] for x in sizes) if n.endswith(".json"))
    records = {}
    for name, content in zip(names, home.read_each(names), strict=True):
        record = home.parsed(name, content)
        if sizes.get(record["file"], -1) == record["bytes"]:
            records[int(record["member"])] = _with_own_file(record, name, content)
    return records
