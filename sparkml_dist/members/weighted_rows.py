"""Weighted rows in the form that a learner takes: with weights, or as repeated rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.hashing import uniform
from sparkml_dist.learners.learner import Traits

__all__ = ["as_learner_takes", "weighted_rows"]


def as_learner_takes(X: Any, traits: Traits) -> Any:
    """Return features in the type and layout that a learner uses without copying."""
    import scipy.sparse as sp

    if sp.issparse(X):
        return X if traits.allows_sparse else X.toarray().astype(traits.dtype, copy=False)
    return X.astype(traits.dtype, copy=False)


def weighted_rows(
    X: Any,
    y: npt.NDArray[Any],
    weight: npt.NDArray[np.float64],
    key: npt.NDArray[np.int64],
    traits: Traits,
    seed: int,
    member: int,
) -> tuple[Any, npt.NDArray[Any], npt.NDArray[np.float64] | None, npt.NDArray[np.int64]]:
    """Return the arguments of ``fit`` that give rows the influence of their weights.

    Parameters
    ----------
    X : ndarray or csr_matrix, shape (n, d)
    y : ndarray of shape (n,)
    weight : ndarray of shape (n,)
        Need not add up to anything.
    key : ndarray of int64, shape (n,)
    traits : Traits
        A learner without support for weights gets as many rows as have weight, drawn by weight.
    seed, member : int
        Seed of the draw, beside the rows' keys.

    Returns
    -------
    X, y : as above
    weight : ndarray of shape (n,), or None
    key : ndarray of int64, shape (n,)

    References
    ----------
    Freund, Schapire (1996), "Experiments with a new boosting algorithm": boosting by resampling.
    """
    if traits.weight_parameter:
        return X, y, weight, key
    rate = weight * (np.count_nonzero(weight) / weight.sum())
    chosen = np.repeat(np.arange(len(y)), _counts(key, rate, seed, member))
    if not len(chosen):
        chosen = np.flatnonzero(weight)
    return X[chosen], y[chosen], None, key[chosen]


def _counts(
    key: npt.NDArray[np.int64], rate: npt.NDArray[np.float64], seed: int, member: int
) -> npt.NDArray[np.int64]:
    """Return whole numbers with the rates as means and the smallest possible variance.

    A row's rate is rounded up or down at random. Poisson draws would add noise: of rows with rate
    1, they leave out more than one in three.
    """
    whole = np.floor(rate)
    up = uniform(key, seed, "boosting rows", member) < rate - whole
    return (whole + up).astype(np.int64)
