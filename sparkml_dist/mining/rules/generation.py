"""Generates the rules of itemsets, many at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.mining.rules.set_index import Counts, Hashes, SetIndex

__all__ = ["RuleBatch", "rules_of"]

#: Rules that are processed at a time; bounds a task's memory to tens of MiB.
_CHUNK = 1 << 17
_ONE = np.uint64(1)


@dataclass(frozen=True)
class RuleBatch:
    """Rules X → Y with XY among itemsets of one size k.

    Attributes
    ----------
    row : ndarray of int64, shape (r,)
        Position of the itemset.
    mask : ndarray of uint64, shape (r,)
        Bit j is set where the itemset's item j belongs to Y; the others belong to X.
    antecedent_hash, consequent_hash : ndarray of uint64, shape (r,)
    antecedent, consequent, both : ndarray of int64, shape (r,)
        Baskets that hold X, Y, and X and Y.
    """

    row: npt.NDArray[np.int64]
    mask: Hashes
    antecedent_hash: Hashes
    consequent_hash: Hashes
    antecedent: Counts
    consequent: Counts
    both: Counts

    def __len__(self) -> int:
        return len(self.row)

    def of(self, chosen: npt.NDArray) -> RuleBatch:
        """Return some of the rules, by a boolean mask or indices."""
        return RuleBatch(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))

    def in_consequent(self, k: int) -> npt.NDArray[np.bool_]:
        """Return which items belong to Y, shape (r, k)."""
        bits = (self.mask[:, None] >> np.arange(k, dtype=np.uint64)) & _ONE
        return bits.astype(bool)


def rules_of(
    items: Hashes,
    counts: Counts,
    index: SetIndex,
    *,
    min_confidence: float,
    max_consequent: int | None = None,
) -> Iterator[RuleBatch]:
    """Yield the rules of itemsets of one size that reach the minimum confidence.

    Consequents grow by one item at a time, as long as the confidence reaches the minimum: it cannot
    rise again, since a smaller antecedent is in at least as many baskets (Agrawal and Srikant 1994,
    ap-genrules).

    Parameters
    ----------
    items : ndarray of uint64, shape (m, k)
        Hashes of the items of each itemset; k at most 63.
    counts : ndarray of int64, shape (m,)
    index : SetIndex
    min_confidence : float
    max_consequent : int, optional
        Most items of a consequent.
    """
    m, k = items.shape
    deepest = min(k - 1, max_consequent or k)
    if deepest < 1:
        return
    whole = np.bitwise_xor.reduce(items, axis=1)
    step = max(1, _CHUNK // k)
    for start in range(0, m, step):
        rows = np.arange(start, min(start + step, m))
        none = np.zeros(len(rows), np.uint64)
        # Consequents to extend: rows, masks, hashes and the first item that may be added.
        stack = [(rows, none, none, np.zeros(len(rows), np.int64))]
        while stack:
            row, mask, y, first = _grown(*stack.pop(), items)
            antecedent = index.counts(whole[row] ^ y) if len(row) else np.empty(0, np.int64)
            confident = counts[row] / antecedent >= min_confidence
            row, mask, y, first = row[confident], mask[confident], y[confident], first[confident]
            if not len(row):
                continue
            yield RuleBatch(
                row,
                mask,
                whole[row] ^ y,
                y,
                antecedent[confident],
                index.counts(y),
                counts[row],
            )
            grows = (np.bitwise_count(mask) < deepest) & (first < k)
            row, mask, y, first = row[grows], mask[grows], y[grows], first[grows]
            for at in range(0, len(row), step):
                piece = slice(at, at + step)
                stack.append((row[piece], mask[piece], y[piece], first[piece]))


def _grown(
    row: npt.NDArray, mask: Hashes, y: Hashes, first: npt.NDArray, items: Hashes
) -> tuple[npt.NDArray, Hashes, Hashes, npt.NDArray]:
    """Return every consequent with one more item, each from the one without its last item."""
    width = items.shape[1] - first
    source = np.repeat(np.arange(len(row)), width)
    begin = np.cumsum(width) - width
    item = np.arange(len(source)) - begin[source] + first[source]
    row = row[source]
    bit = _ONE << item.astype(np.uint64)
    return row, mask[source] | bit, y[source] ^ items[row, item], item + 1
