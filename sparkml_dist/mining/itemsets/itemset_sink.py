"""Collects itemsets in flat arrays as they are found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["FoundItemsets", "ItemsetSink", "TooManyItemsetsError"]


class TooManyItemsetsError(Exception):
    """More itemsets were found than the sink may take."""


@dataclass(frozen=True)
class FoundItemsets:
    """Itemsets as runs of item numbers.

    Attributes
    ----------
    lengths : ndarray of int64, shape (itemsets,)
    items : ndarray of int32, shape (sum of lengths,)
        Numbers of the items in their natural order, ascending within an itemset.
    counts : ndarray of int64, shape (itemsets,)
        Baskets that hold the itemset.
    """

    lengths: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.counts)


class ItemsetSink:
    """Collects itemsets in bulk and returns them in larger pieces.

    Parameters
    ----------
    max_length : int, optional
        Longer itemsets are left out.
    budget : int, optional
        Most itemsets in all.

    Attributes
    ----------
    size : int
        Itemsets added so far.
    pending : int
        Item numbers that have not been drained yet.
    """

    def __init__(self, max_length: int | None = None, budget: int | None = None) -> None:
        self._budget = budget
        self.max_length = max_length
        self.size = 0
        self.pending = 0
        self._parts: list[FoundItemsets] = []

    def add_bits(self, columns: npt.NDArray, bits: npt.NDArray, counts: npt.NDArray) -> None:
        """Add itemsets given as rows of a 0/1 matrix.

        Parameters
        ----------
        columns : ndarray of int, shape (width,) or (itemsets, width)
            Item number of each column, ascending.
        bits : ndarray of bool or uint8, shape (itemsets, width)
        counts : ndarray of int, shape (itemsets,)
        """
        lengths = bits.sum(axis=1, dtype=np.int64)
        if self.max_length is not None and (lengths > self.max_length).any():
            short = lengths <= self.max_length
            bits, counts, lengths = bits[short], counts[short], lengths[short]
            columns = columns[short] if columns.ndim == 2 else columns
        if not len(counts):
            return
        chosen = np.flatnonzero(bits)
        if columns.ndim == 2:
            items = columns.ravel()[chosen]
        else:
            items = columns[chosen % bits.shape[1]]
        self.add(lengths, items, counts)

    def add(self, lengths: npt.NDArray, items: npt.NDArray, counts: npt.NDArray) -> None:
        """Add itemsets given as runs of item numbers, none longer than `max_length`.

        Raises
        ------
        TooManyItemsetsError
            When the budget is exceeded.
        """
        part = FoundItemsets(lengths, items.astype(np.int32), counts.astype(np.int64))
        self._parts.append(part)
        self.size += len(part)
        self.pending += len(part.items)
        if self._budget is not None and self.size > self._budget:
            raise TooManyItemsetsError

    def drain(self) -> FoundItemsets:
        """Return the itemsets added since the last call."""
        parts, self._parts, self.pending = self._parts, [], 0
        return FoundItemsets(
            np.concatenate([p.lengths for p in parts] or [np.zeros(0, np.int64)]),
            np.concatenate([p.items for p in parts] or [np.zeros(0, np.int32)]),
            np.concatenate([p.counts for p in parts] or [np.zeros(0, np.int64)]),
        )
