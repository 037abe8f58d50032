"""Supports of all subsets of a few items at once, by sums over supersets."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["superset_sums", "unpacked"]


def superset_sums(
    masks: npt.NDArray, weights: npt.NDArray, k: int, column: npt.NDArray | int = 0, m: int = 1
) -> npt.NDArray[np.int64]:
    """Return the support of every subset of `k` items, for `m` databases at once.

    The histogram of the rows over the 2^k subsets is turned into supports by adding, item by item,
    those with the item to those without it (Yates 1937; the zeta transform of the subset lattice).

    Parameters
    ----------
    masks : ndarray of int, shape (rows,)
        Bit j is set where the row holds item j.
    weights : ndarray of int, shape (rows,)
    k : int
    column : ndarray of int, shape (rows,), or 0
        Number of the database of each row.
    m : int

    Returns
    -------
    ndarray of int64, shape (2^k, m)
    """
    keys = masks.astype(np.int64) * m + column
    size = (1 << k) * m
    sums: npt.NDArray[np.int64] = np.bincount(keys, weights, minlength=size).astype(np.int64)
    for j in range(k):
        halves = sums.reshape(1 << (k - 1 - j), 2, m << j)
        halves[:, 0] += halves[:, 1]
    return sums.reshape(1 << k, m)


def unpacked(masks: npt.NDArray, k: int) -> npt.NDArray[np.uint8]:
    """Return the lowest `k` bits of each mask as a 0/1 matrix of shape (masks, k)."""
    words = np.ascontiguousarray(masks, dtype="<u8")
    return np.unpackbits(
        words.view(np.uint8).reshape(len(words), 8), axis=1, count=k, bitorder="little"
    )
