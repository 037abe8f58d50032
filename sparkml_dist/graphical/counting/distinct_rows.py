"""The distinct rows of a block of codes, and how often each occurs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkml_dist.graphical.counting.block_counts import Codes

__all__ = ["distinct_rows", "row_hashes"]

_START = np.uint64(0x9E3779B97F4A7C15)


def distinct_rows(
    codes: Codes, weights: npt.NDArray[np.int64]
) -> tuple[Codes, npt.NDArray[np.int64]]:
    """Merge equal rows.

    Parameters
    ----------
    codes : ndarray of int, shape (n, d)
    weights : ndarray of int64, shape (n,)

    Returns
    -------
    codes : ndarray of int, shape (m, d)
        In an order that depends on their values alone.
    weights : ndarray of int64, shape (m,)
        Sums of those of equal rows.
    """
    if not len(codes):
        return codes, weights
    hashes = row_hashes(codes)
    order = np.argsort(hashes, kind="stable")
    ordered, rows = hashes[order], codes[order]
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    group = np.cumsum(first) - 1
    distinct: Codes = rows[first]
    if (distinct[group] != rows).any():  # two rows with one hash: once in 2**64 pairs
        found, group = np.unique(codes, axis=0, return_inverse=True)
        return found, np.bincount(group.ravel(), weights).astype(np.int64)
    return distinct, np.add.reduceat(weights[order], np.flatnonzero(first))


def row_hashes(codes: Codes) -> npt.NDArray[np.uint64]:
    """Return a hash of each row, shape (n,)."""
    hashes = np.full(len(codes), _START, np.uint64)
    with np.errstate(over="ignore"):
        for v in range(codes.shape[1]):
            hashes ^= codes[:, v].astype(np.int64).view(np.uint64)
            hashes *= np.uint64(0xBF58476D1CE4E5B9)
            hashes ^= hashes >> np.uint64(29)
    return hashes
