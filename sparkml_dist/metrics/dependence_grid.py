"""The values at which partial dependence is computed, from the features of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.dataset.schema import Matrix

__all__ = ["column_values", "grid_of", "with_values"]

_DECILES = np.arange(1, 10) / 10


def grid_of(
    values: npt.NDArray[np.float32], is_categorical: bool, size: int, share: float
) -> dict[str, list[float]]:
    """Return the grid of a feature, as scikit-learn chooses it.

    Up to `size` distinct values are the grid; of more, evenly spaced numbers between two
    quantiles, or the most frequent categories. Missing values are left out.

    Parameters
    ----------
    values : ndarray of float32, shape (n,)
        The feature in a sample of rows.
    is_categorical : bool
    size : int
    share : float
        Share of the rows that is cut off at either end, before numbers are spaced.

    Returns
    -------
    dict
        ``values`` and, for numbers, ``deciles``; both empty without values.
    """
    known = values[np.isfinite(values)].astype(np.float64)
    distinct, counts = np.unique(known, return_counts=True)
    if is_categorical:
        frequent = np.argsort(-counts, kind="stable")[:size]
        return {"values": np.sort(distinct[frequent]).tolist(), "deciles": []}
    if not len(known):
        return {"values": [], "deciles": []}
    deciles = np.quantile(known, _DECILES).tolist()
    if len(distinct) <= size:
        return {"values": distinct.tolist(), "deciles": deciles}
    least, most = np.quantile(known, [share, 1 - share])
    if least == most:  # nearly all rows have one value
        least, most = distinct[0], distinct[-1]
    spaced = np.linspace(least, most, size).astype(np.float32).astype(np.float64)
    return {"values": np.unique(spaced).tolist(), "deciles": deciles}


def column_values(X: Matrix, feature: int) -> npt.NDArray[np.float32]:
    """Return a feature of all rows, shape (n,)."""
    column: Any = X[:, [feature]]
    dense = column.toarray() if sp.issparse(column) else column
    return np.asarray(dense, dtype=np.float32).ravel()


def with_values(X: Matrix, feature: int, values: Sequence[float]) -> Matrix:
    """Return the rows once for each value, with a feature set to it.

    Parameters
    ----------
    X : ndarray or csr_matrix, shape (n, d)
    feature : int
    values : sequence of float

    Returns
    -------
    ndarray or csr_matrix, shape (n_values * n, d)
    """
    if not sp.issparse(X):
        dense = np.tile(np.asarray(X), (len(values), 1))
        dense[:, feature] = np.repeat(np.asarray(values), X.shape[0])
        return dense
    return sp.csr_matrix(sp.vstack([_with_value(X, feature, value) for value in values]))


def _with_value(found: Any, feature: int, value: float) -> sp.csr_matrix:
    others = found.indices != feature
    kept = np.concatenate([[0], np.cumsum(others)])[found.indptr]
    rest = sp.csr_matrix((found.data[others], found.indices[others], kept), shape=found.shape)
    if value == 0:
        return rest
    n = found.shape[0]
    column = sp.csr_matrix(
        (np.full(n, value, found.dtype), np.full(n, feature), np.arange(n + 1)), shape=found.shape
    )
    return sp.csr_matrix(rest + column)
