"""Compares the predictions of an ONNX graph with those of its model."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.schema import Matrix
from sparkml_dist.models.scoring import Predict
from sparkml_dist.onnx.trees import is_tree, tree_tables

__all__ = ["TOLERANCE", "TreeBank", "agreement", "disagreement", "has_onnxruntime", "probe_rows"]

#: Largest difference of probabilities; in a regression, relative to the largest prediction.
TOLERANCE = 1e-5
# Number of members whose thresholds are used for probe rows.
_SAMPLED_MEMBERS = 8


class TreeBank(Protocol):
    """Members of a model, each read on demand."""

    members: Any

    def learner(self, index: int) -> Any:
        """Read one member's learner."""


def has_onnxruntime() -> bool:
    """Return whether ONNX Runtime is installed here."""
    return find_spec("onnxruntime") is not None


def agreement(plain: Predict, exported: Predict, X: Matrix) -> dict[str, Any]:
    """Compare two ways to score a block.

    Parameters
    ----------
    plain, exported : callable
    X : ndarray or csr_matrix, shape (n, d)

    Returns
    -------
    dict
        ``rows``, ``different`` (rows that differ by more than `TOLERANCE`), ``max_difference``.
    """
    expected, found = (np.asarray(predict(X), dtype=np.float64) for predict in (plain, exported))
    apart = np.abs(found - expected)
    if expected.ndim == 1:
        apart = (apart / max(1.0, float(np.abs(expected).max(initial=0.0))))[:, None]
    by_row = apart.max(axis=1, initial=0.0)
    return {
        "rows": len(expected),
        "different": int((~(by_row <= TOLERANCE)).sum()),
        "max_difference": float(by_row.max(initial=0.0)),
    }


def disagreement(found: dict[str, Any], *, share: float = 0.001) -> str:
    """Return why an agreement is not sufficient; empty if it is.

    Parameters
    ----------
    found : dict
        Result of `agreement`.
    share : float, default=0.001
        Share of the rows that may differ by more than `TOLERANCE`.
    """
    if found["different"] <= share * found["rows"]:
        return ""
    return (
        f"{found['different']:,} of {found['rows']:,} rows differ by more than {TOLERANCE:g}, "
        f"the worst by {found['max_difference']:.2g}"
    )


def probe_rows(
    bank: TreeBank | None, n_features: int, rows: int, *, missing: bool = True, seed: int = 0
) -> npt.NDArray[np.float32]:
    """Return rows that are likely to reveal a difference.

    Half of the values of a feature are thresholds of the members' trees or adjacent floats, the
    others are random. If all members accept missing values, some values are missing.

    Parameters
    ----------
    bank : TreeBank or None
        None if there are no scikit-learn members.
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


def _thresholds(bank: TreeBank) -> dict[int, npt.NDArray[np.float64]]:
    found: dict[int, list[Any]] = {}
    for i in range(0, len(bank.members), max(1, len(bank.members) // _SAMPLED_MEMBERS)):
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
