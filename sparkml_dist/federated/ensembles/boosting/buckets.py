"""Cut points of one feature from counts in buckets, which are refined where rows are dense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.federated.ensembles.boosting.ordered_floats import KEY_BITS, float_of

__all__ = ["Buckets"]

# The first buckets are told apart by sign and exponent, later ones by four more bits each time.
_FIRST_BITS = 9
_PARTS = 16
_RANGE = 1 << KEY_BITS


@dataclass(frozen=True, eq=False)
class Buckets:
    """Ranges of keys that cover all floats, and how many rows each holds.

    Attributes
    ----------
    edges : ndarray of int64, shape (n + 1,)
        Bucket i holds the keys from ``edges[i]`` up to, and without, ``edges[i + 1]``.
    counts : ndarray of float64, shape (n,)
    """

    edges: npt.NDArray[np.int64]
    counts: npt.NDArray[np.float64]

    @classmethod
    def start(cls) -> Buckets:
        """Return buckets whose rows are not counted yet."""
        edges = np.arange((1 << _FIRST_BITS) + 1, dtype=np.int64) << (KEY_BITS - _FIRST_BITS)
        return cls(edges, np.zeros(1 << _FIRST_BITS))

    def counted(self, counts: npt.NDArray[Any]) -> Buckets:
        """Return the same buckets with counts; neighbours without rows become one."""
        filled = np.asarray(counts, np.float64)
        kept = np.ones(len(self.edges), bool)
        kept[1:-1] = (filled[1:] > 0) | (filled[:-1] > 0)
        return Buckets(self.edges[kept], np.add.reduceat(filled, np.flatnonzero(kept[:-1])))

    def heavy(self, bins: int) -> npt.NDArray[np.bool_]:
        """Tell which buckets hold more than half a bin's share of the rows, and can be refined."""
        share = self.counts.sum() / (2 * bins)
        return (self.counts > share) & (np.diff(self.edges) > 1)

    def refined(self, bins: int) -> Buckets:
        """Return buckets of which the heavy ones are divided; counts are to be asked again."""
        pieces = []
        heavy = self.heavy(bins)
        for i, (low, high) in enumerate(zip(self.edges[:-1], self.edges[1:], strict=True)):
            parts = min(_PARTS, int(high - low)) if heavy[i] else 1
            pieces.append(low + (high - low) * np.arange(parts) // parts)
        edges = np.concatenate([*pieces, [_RANGE]]).astype(np.int64)
        return Buckets(edges, np.zeros(len(edges) - 1))

    def cuts(self, bins: int) -> npt.NDArray[np.float32]:
        """Return at most ``bins - 1`` cut points between the buckets' rows, ascending.

        A row lies left of a cut if its value is smaller. With few distinct values there is a cut
        between each two; otherwise the cuts are at quantiles of the rows.

        Parameters
        ----------
        bins : int

        Returns
        -------
        ndarray of float32
        """
        filled = np.flatnonzero(self.counts > 0)
        if len(filled) < 2:
            return np.empty(0, np.float32)
        below = np.cumsum(self.counts[filled])[:-1]
        at = np.arange(len(below))
        if len(filled) > bins:
            wanted = self.counts.sum() * np.arange(1, bins) / bins
            at = np.unique(np.minimum(np.searchsorted(below, wanted), len(below) - 1))
        left = float_of(self.edges[filled[at] + 1] - 1).astype(np.float64)
        right = float_of(self.edges[filled[at + 1]]).astype(np.float64)
        with np.errstate(invalid="ignore"):
            middle = ((left + right) / 2).astype(np.float32)
        found = np.where((middle > left) & (middle <= right), middle, right)
        return np.asarray(found, np.float32)
