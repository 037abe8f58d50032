"""The frequent items, with their numbers, ranks and counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.mining.itemsets.basket_rows import BasketRows

__all__ = ["Vocabulary"]


@dataclass(frozen=True)
class Vocabulary:
    """The frequent items of all baskets.

    An item's *number* is its position in the items' natural order, in which itemsets are written.
    Its *rank*, or code, is its position by ascending frequency. The search follows ranks, since the
    rarest item of an itemset has the fewest baskets.

    Attributes
    ----------
    items : pyarrow.Array
        Items by number.
    numbers : ndarray of int32, shape (n_items,)
        Number of the item of each rank.
    counts : ndarray of int64, shape (n_items,)
        Baskets that hold the item of each rank.
    """

    items: pa.Array
    numbers: npt.NDArray[np.int32]
    counts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, items: pa.Array, counts: npt.NDArray[np.int64]) -> Vocabulary:
        """Return the vocabulary of distinct items, in any order, and their counts."""
        natural = pc.sort_indices(items).to_numpy()
        ordered = counts[natural]
        numbers = np.argsort(ordered, kind="stable").astype(np.int32)
        return cls(items.take(pa.array(natural)), numbers, ordered[numbers])

    def __len__(self) -> int:
        return len(self.numbers)

    def ranked(self, dictionary: pa.Array, lengths: npt.NDArray, codes: npt.NDArray) -> BasketRows:
        """Return baskets encoded by their own dictionary as rows of ranks.

        Parameters
        ----------
        dictionary : pyarrow.Array
            Distinct items, frequent or not.
        lengths : ndarray of int, shape (baskets,)
        codes : ndarray of int, shape (entries,)
            Positions in `dictionary`.

        Returns
        -------
        BasketRows
            Without infrequent items, and without baskets that have no frequent one.
        """
        number = pc.index_in(dictionary, value_set=self.items).fill_null(-1).to_numpy()
        rank = np.full(len(self) + 1, -1, np.int32)
        rank[self.numbers] = np.arange(len(self))
        found = rank[number][codes]  # the number -1 selects the last element, which is -1
        kept = found >= 0
        of_row = np.repeat(np.arange(len(lengths)), lengths)
        return BasketRows.from_pairs(of_row[kept], found[kept], len(self))
