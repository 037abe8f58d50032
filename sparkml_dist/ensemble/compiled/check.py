"""Compares what a graph predicts with what the model predicts."""

from __future__ import annotations

import time
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.schema import Matrix
from sparkml_dist.ensemble.bank import MemberBank
from sparkml_dist.ensemble.compiled.trees import is_tree, tree_tables
from sparkml_dist.scoring import Predict

__all__ = ["TOLERANCE", "agreement", "disagreement", "has_onnxruntime", "joined", "probe_rows"]

#: How far probabilities may be apart; for a regression, a share of the largest prediction.
TOLERANCE = 1e-5
_TIMED = 3
# Members whose thresholds are looked up for probes.
_LOOKED_AT = 8


def has_onnxruntime() -> bool:
    """Tell whether ONNX Runtime is installed here."""
    return find_spec("onnxruntime") is not None


def agreement(plain: Predict, compiled: Predict, X: Matrix) -> dict[str, Any]:
    """Return how two ways to score a block agree, and the seconds of each.

    Parameters
    ----------
    plain, compiled : callable
    X : ndarray or csr_matrix, shape (n, d)

    Returns
    -------
    dict
        ``rows``, ``different`` (rows further apart than `TOLERANCE`), ``max_difference``,
        ``equal`` (rows with the same prediction), ``seconds``: [plain, compiled].
    """
    seconds = [np.inf, np.inf]
    outputs: list[Any] = [None, None]
    for _ in range(_TIMED):  # in turn, and the best of each: what else runs here must not decide
        for i, predict in enumerate((plain, compiled)):
            start = time.perf_counter()
            outputs[i] = predict(X)
            seconds[i] = min(seconds[i], time.perf_counter() - start)
    expected, found = (np.asarray(o, dtype=np.float64) for o in outputs)
    apart = np.abs(found - expected)
    if expected.ndim == 1:
        scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
        apart = (apart / scale)[:, None]
        equal = apart[:, 0] <= TOLERANCE
    else:
        equal = found.argmax(axis=1) == expected.argmax(axis=1)
    by_row = apart.max(axis=1, initial=0.0)
    return {
        "rows": len(expected),
        "different": int((~(by_row <= TOLERANCE)).sum()),
        "max_difference": float(by_row.max(initial=0.0)),
        "equal": int(equal.sum()),
        "seconds": seconds,
    }


def joined(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the agreement on several blocks."""
    return {
        "rows": sum(f["rows"] for f in found),
        "different": sum(f["different"] for f in found),
        "max_difference": max((f["max_difference"] for f in found), default=0.0),
        "equal": sum(f["equal"] for f in found),
        "seconds": [sum(f["seconds"][i] for f in found) for i in (0, 1)],
    }


def disagreement(found: dict[str, Any], *, share: float = 0.001) -> str:
    """Return why an agreement does not suffice; empty where it does.

    Parameters
    ----------
    found : dict
        As from `agreement`.
    share : float, default=0.001
        Share of the rows that may be further apart than `TOLERANCE`.
    """
    if found["different"] <= share * found["rows"]:
        return ""
    return (
        f"{found['different']:,} of {found['rows']:,} rows are further apart than {TOLERANCE:g}, "
        f"the worst by {found['max_difference']:.2g}"
    )


def probe_rows(
    bank: MemberBank | None, n_features: int, rows: int, *, missing: bool = True, seed: int = 0
) -> npt.NDArray[np.float32]:
    """Return rows that are likely to show a difference.

    Half of the values lie on thresholds of the members' trees or one float beside them, the
    others are normal; where all members take missing values, some are missing.

    Parameters
    ----------
    bank : MemberBank or None
        None where there are no scikit-learn members.
    n_features : int
    rows : int
    missing : bool, default=True
        Whether values may be missing.
    seed : int, default=0

    Returns
    -------
    ndarray of float32, shape (rows, n_features)
    """
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, n_features), dtype=np.float32)
    if bank is None:
        return X
    for feature, values in _thresholds(bank).items():
        lowest, highest = np.min(values), np.max(values)
        X[:, feature] = rng.uniform(lowest, highest, rows)
        near = np.asarray(rng.choice(values, rows), dtype=np.float32)
        beside = np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(3e38))
        X[:, feature] = np.where(
            rng.random(rows) < 0.5, np.choose(rng.integers(0, 3, rows), beside), X[:, feature]
        )
    if missing and all(m.allows_missing for m in bank.members):
        X[rng.random(X.shape) < 0.05] = np.nan
    return X


def _thresholds(bank: MemberBank) -> dict[int, npt.NDArray[np.float64]]:
    found: dict[int, list[Any]] = {}
    for i in range(0, len(bank.members), max(1, len(bank.members) // _LOOKED_AT)):
        learner, features = bank.learner(i), bank.members[i].features
        if not is_tree(learner):
            continue
        for table in tree_tables(learner):
            inner = ~table.leaf & np.isfinite(table.threshold)
            for feature in np.unique(table.feature[inner]):
                place = int(feature) if features is None else int(features[feature])
                chosen = inner & (table.feature == feature)
                found.setdefault(place, []).append(table.threshold[chosen])
    return {feature: np.concatenate(values) for feature, values in found.items()}
