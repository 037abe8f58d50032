"""Counts of the baskets that hold a pair of items, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from sparkml_dist.mining.itemsets.basket_rows import BasketRows

__all__ = [
    "EntryPairs",
    "both_sided_counts",
    "dense_matrix",
    "is_dense",
    "product_counts",
    "spanned_counts",
]

# Most entries that one step pairs, which bounds its temporary arrays to about 100 MB.
_STEP = 1 << 21
# Cells of one dense 0/1 matrix.
_CELLS = 1 << 24
# Cost of listing one pair, in multiplications of a matrix product.
_PAIR_COST = 150.0


def is_dense(rows: BasketRows, n_codes: int) -> bool:
    """Return whether a matrix product counts the pairs faster than listing them."""
    lengths = rows.lengths.astype(np.float64)
    pairs = float(lengths @ lengths) / 2
    return len(rows) * float(n_codes) ** 2 < pairs * _PAIR_COST


def dense_matrix(rows: BasketRows, n_codes: int, dtype: type = np.uint8) -> npt.NDArray:
    """Return the rows as a 0/1 matrix of shape (rows, n_codes)."""
    matrix: npt.NDArray = np.zeros((len(rows), n_codes), dtype)
    matrix[np.repeat(np.arange(len(rows)), rows.lengths), rows.codes] = 1
    return matrix


class EntryPairs:
    """Pairs entries of rows with all later ones of their row, in steps of one distance.

    Parameters
    ----------
    rows : BasketRows
    entries : ndarray of int64
        Positions of the entries that come first in a pair.
    before : bool, default=False
        Pair with all earlier entries instead.

    Attributes
    ----------
    entries : ndarray of int64
        The same positions, those with the most pairs first. Steps are slices of this order, so that
        values of first entries should be put into it once.
    """

    def __init__(
        self, rows: BasketRows, entries: npt.NDArray[np.int64], *, before: bool = False
    ) -> None:
        lengths = rows.lengths
        room = entries - np.repeat(rows.offsets[:-1], lengths)[entries]
        if not before:
            room = np.repeat(lengths, lengths)[entries] - room - 1
        longest = int(room.max(initial=0))
        kind = np.uint16 if longest < 1 << 16 else np.int64
        self.entries = entries[np.argsort((longest - room).astype(kind), kind="stable")]
        # With the longest runs first, the unfinished ones always are a prefix.
        self._going_on = len(room) - np.cumsum(np.bincount(room, minlength=longest + 1))
        self._sign = -1 if before else 1

    def __iter__(self) -> Iterator[tuple[slice, npt.NDArray[np.int64]]]:
        """Yield which of `entries` come first, as a slice, and the positions that come second."""
        for distance, going in enumerate(self._going_on[:-1].tolist(), 1):
            for low in range(0, going, _STEP):
                part = slice(low, min(low + _STEP, going))
                yield part, self.entries[part] + self._sign * distance


def spanned_counts(
    rows: BasketRows,
    base: npt.NDArray[np.int64],
    chosen: npt.NDArray[np.bool_],
    size: int,
    *,
    before: bool = False,
) -> npt.NDArray[np.int64]:
    """Count the baskets that hold a chosen item and a later one.

    Parameters
    ----------
    rows : BasketRows
    base : ndarray of int64, shape (n_codes,)
        The pair (c, d) is counted in cell ``base[c] + d``.
    chosen : ndarray of bool, shape (n_codes,)
        Items that come first.
    size : int
        Number of cells.
    before : bool, default=False
        Count the earlier items instead.

    Returns
    -------
    ndarray of int64, shape (size,)
    """
    counts = np.zeros(size, np.int64)
    pairs = EntryPairs(rows, np.flatnonzero(chosen[rows.codes]), before=before)
    first_base = base[rows.codes[pairs.entries]]
    weights = None
    if not (rows.weights == 1).all():
        weights = np.repeat(rows.weights.astype(np.float64), rows.lengths)[pairs.entries]
    keys: list[npt.NDArray] = []
    weighing: list[npt.NDArray] = []
    waiting = 0

    def flush() -> None:
        nonlocal waiting
        if keys:
            # Sums of doubles are exact up to 2^53 baskets.
            found = np.bincount(
                np.concatenate(keys),
                np.concatenate(weighing) if weighing else None,
                minlength=size,
            )
            np.add(counts, found.astype(np.int64, copy=False), out=counts)
        keys.clear()
        weighing.clear()
        waiting = 0

    for part, second in pairs:
        keys.append(first_base[part] + rows.codes[second])
        if weights is not None:
            weighing.append(weights[part])
        waiting += len(second)
        if waiting >= _STEP:
            flush()
    flush()
    return counts


def product_counts(
    rows: BasketRows, n_codes: int, firsts: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Count the baskets that hold each pair of items, by matrix products.

    Parameters
    ----------
    rows : BasketRows
    n_codes : int
    firsts : ndarray of int64, shape (n_firsts,)

    Returns
    -------
    ndarray of int64, shape (n_firsts, n_codes)
        In the column of an item itself: the baskets that hold it.
    """
    counts = np.zeros((len(firsts), n_codes), np.int64)
    # Single precision counts exactly up to 2^24.
    dtype = np.float32 if int(rows.weights.sum()) < 1 << 24 else np.float64
    step = max(1, _CELLS // max(1, n_codes))
    for low in range(0, len(rows), step):
        part = rows.take(np.arange(low, min(low + step, len(rows))))
        matrix = dense_matrix(part, n_codes, dtype)
        left = matrix[:, firsts] * part.weights[:, None].astype(dtype)
        counts += np.rint(left.T @ matrix).astype(np.int64)
    return counts


def both_sided_counts(
    rows: BasketRows, n_codes: int, firsts: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Count the baskets that hold an item of `firsts` and any other one.

    Returns
    -------
    ndarray of int64, shape (n_firsts, n_codes)
        0 in the column of an item itself.
    """
    if is_dense(rows, n_codes):
        counts = product_counts(rows, n_codes, firsts)
        counts[np.arange(len(firsts)), firsts] = 0
        return counts
    base = np.full(n_codes, -1, np.int64)
    base[firsts] = np.arange(len(firsts)) * n_codes
    size = len(firsts) * n_codes
    counts = spanned_counts(rows, base, base >= 0, size)
    counts += spanned_counts(rows, base, base >= 0, size, before=True)
    return counts.reshape(len(firsts), n_codes)
