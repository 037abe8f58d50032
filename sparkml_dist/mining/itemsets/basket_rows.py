"""Encoded baskets in a worker's memory: ragged rows of item ranks with weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["BasketRows", "run_positions"]

_SEEDS = 4


def run_positions(starts: npt.NDArray, lengths: npt.NDArray) -> npt.NDArray[np.int64]:
    """Return the positions ``starts[i], starts[i] + 1, …`` of all runs, concatenated.

    Parameters
    ----------
    starts, lengths : ndarray of int, shape (runs,)

    Returns
    -------
    ndarray of int64, shape (sum of lengths,)
    """
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - ends + lengths, lengths) + np.arange(total, dtype=np.int64)


@dataclass(frozen=True)
class BasketRows:
    """Baskets as runs of ascending item ranks.

    Attributes
    ----------
    offsets : ndarray of int64, shape (rows + 1,)
        Position of each row's first entry, and the number of entries.
    codes : ndarray of int32, shape (entries,)
        Ranks of the items, ascending within a row.
    weights : ndarray of int64, shape (rows,)
        Number of equal baskets that a row represents.
    """

    offsets: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int32]
    weights: npt.NDArray[np.int64]

    @classmethod
    def from_lengths(
        cls, lengths: npt.NDArray, codes: npt.NDArray, weights: npt.NDArray
    ) -> BasketRows:
        """Make rows from their lengths."""
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return cls(offsets, codes.astype(np.int32, copy=False), weights.astype(np.int64))

    @classmethod
    def from_pairs(cls, rows: npt.NDArray, codes: npt.NDArray, n_codes: int) -> BasketRows:
        """Make rows of weight 1 from (row, code) pairs in any order; duplicates count once.

        Rows without a code are left out.
        """
        shift = max(1, int(n_codes - 1).bit_length()) if n_codes else 1
        keys = (rows.astype(np.int64) << shift) | codes
        keys.sort()
        if len(keys):
            keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])]
        found = keys >> shift
        starts = np.flatnonzero(np.concatenate([[True], found[1:] != found[:-1]])[: len(found)])
        offsets = np.append(starts, len(found)).astype(np.int64)
        return cls(
            offsets,
            (keys & ((1 << shift) - 1)).astype(np.int32),
            np.ones(len(starts), np.int64),
        )

    @classmethod
    def joined(cls, parts: list[BasketRows]) -> BasketRows:
        """Return the rows of several parts, concatenated."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            nothing = np.zeros(0, np.int64)
            return cls(np.zeros(1, np.int64), nothing.astype(np.int32), nothing)
        return cls.from_lengths(
            np.concatenate([part.lengths for part in parts]),
            np.concatenate([part.codes for part in parts]),
            np.concatenate([part.weights for part in parts]),
        )

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of items of each row."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.weights)

    def take(self, rows: npt.NDArray) -> BasketRows:
        """Return the rows of the given numbers."""
        lengths = self.lengths[rows]
        positions = run_positions(self.offsets[:-1][rows], lengths)
        return BasketRows.from_lengths(lengths, self.codes[positions], self.weights[rows])

    def restricted(self, keep: npt.NDArray[np.bool_]) -> BasketRows:
        """Return the rows with the entries for which `keep` is true, without empty rows.

        Parameters
        ----------
        keep : ndarray of bool, shape (entries,)
        """
        kept = np.concatenate([[0], np.cumsum(keep, dtype=np.int64)])[self.offsets]
        lengths = np.diff(kept)
        rows = lengths > 0
        return BasketRows.from_lengths(lengths[rows], self.codes[keep], self.weights[rows])

    def merged(self) -> BasketRows:
        """Return the distinct rows with their weights added; no row may be empty."""
        if len(self) < 2:
            return self
        lengths = self.lengths
        for seed in range(_SEEDS):
            # Equal rows have equal sums of random numbers, one per item; equality is then verified.
            table = np.random.default_rng(seed).integers(
                0, 2**64, int(self.codes.max()) + 1, np.uint64
            )
            hashes = np.add.reduceat(table[self.codes], self.offsets[:-1])
            order = np.argsort(hashes, kind="stable")
            hashes = hashes[order]
            first = np.concatenate([[True], hashes[1:] != hashes[:-1]])
            if first.all():
                return self
            starts = np.flatnonzero(first)
            likeness = order[starts][np.cumsum(first) - 1]
            if self._equal(order[~first], likeness[~first], lengths):
                weights = np.add.reduceat(self.weights[order], starts)
                kept = self.take(order[starts])
                return BasketRows(kept.offsets, kept.codes, weights)
        return self

    def _equal(self, left: npt.NDArray, right: npt.NDArray, lengths: npt.NDArray) -> bool:
        if not np.array_equal(lengths[left], lengths[right]):
            return False
        starts = self.offsets[:-1]
        return np.array_equal(
            self.codes[run_positions(starts[left], lengths[left])],
            self.codes[run_positions(starts[right], lengths[right])],
        )
