"""Pearson correlations of pairs of columns, each over the rows where both have a number."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["PairMoments"]


class PairMoments:
    """Counts, means and central sums of all pairs, in one pass over parts in any order.

    Parameters
    ----------
    arrays : ndarray of shape (4, d, d), optional
        Rows where both have a number; mean of column i where j has one; its sum of squared
        distances from that; the sum of products of distances.
    """

    def __init__(self, arrays: np.ndarray[Any, Any]) -> None:
        self.arrays = arrays

    @classmethod
    def of(cls, X: np.ndarray[Any, Any]) -> PairMoments:
        """Return the sums of rows of shape ``(n, d)``; values that are not finite are missing."""
        present = np.isfinite(X)
        mask = present.astype(np.float64)
        with np.errstate(all="ignore"):
            held = np.where(present, X, 0.0)
            centre = held.sum(axis=0) / np.maximum(mask.sum(axis=0), 1)
            held = np.where(present, held - centre, 0.0)
            both = mask.T @ mask
            mean = (held.T @ mask) / np.maximum(both, 1)
            squares = (held * held).T @ mask - both * mean**2
            products = held.T @ held - both * mean * mean.T
        return cls(np.stack([both, mean + centre[:, None], np.maximum(squares, 0.0), products]))

    def merge(self, other: PairMoments) -> PairMoments:
        """Return the sums of both parts combined."""
        (na, ma, sa, pa), (nb, mb, sb, pb) = self.arrays, other.arrays
        n = na + nb
        whole = np.maximum(n, 1)
        with np.errstate(all="ignore"):
            # The mean of a part without rows is undefined.
            d = np.where((na > 0) & (nb > 0), mb - ma, 0.0)
            share = na * nb / whole
            mean = np.where(na > 0, ma + d * nb / whole, mb)
            return PairMoments(
                np.stack([n, mean, sa + sb + d**2 * share, pa + pb + d * d.T * share])
            )

    def correlations(self) -> np.ndarray[Any, Any]:
        """Return Pearson's r of shape ``(d, d)``, NaN where a column does not vary."""
        n, mean, squares, products = self.arrays
        # A sum of squares that may be rounding of a constant counts as no spread.
        varies = squares > n * (4 * np.finfo(float).eps * np.abs(mean)) ** 2
        with np.errstate(all="ignore"):
            r = products / np.sqrt(squares * squares.T)
        r[~(varies & varies.T) | (n < 2)] = np.nan
        return np.clip(r, -1.0, 1.0)
