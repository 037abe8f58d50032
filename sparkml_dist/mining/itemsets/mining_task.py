"""The work of a mining task, the same for one task and for many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.mining.itemsets.basket_rows import BasketRows
from sparkml_dist.mining.itemsets.closed_miner import ClosedMiner
from sparkml_dist.mining.itemsets.frequent_miner import FrequentMiner
from sparkml_dist.mining.itemsets.itemset_sink import (
    FoundItemsets,
    ItemsetSink,
    TooManyItemsetsError,
)
from sparkml_dist.mining.itemsets.vocabulary import Vocabulary

__all__ = ["Mining"]

# Item numbers of one piece of itemsets.
_PIECE = 1 << 21
# Most itemsets that one task mines of small data; with more of them, many tasks are faster. Closed
# itemsets cost more to find.
_OUTRIGHT, _OUTRIGHT_CLOSED = 1 << 20, 1 << 17


@dataclass(frozen=True)
class Mining:
    """What to mine: items, least count, kind and greatest length of the itemsets.

    Attributes
    ----------
    vocabulary : Vocabulary
    min_count : int
    target : {"frequent", "closed", "maximal"}
    max_length : int or None
    """

    vocabulary: Vocabulary
    min_count: int
    target: str
    max_length: int | None

    @property
    def needs_whole_baskets(self) -> bool:
        """Whether a class is mined from all items of its baskets, not only from later ones."""
        return self.target != "frequent"

    def run(
        self, rows: BasketRows, firsts: npt.NDArray[np.int64], budget: int | None = None
    ) -> Iterator[FoundItemsets]:
        """Mine the classes of `firsts`, in pieces.

        Parameters
        ----------
        rows : BasketRows
            The baskets that hold one of `firsts`, as ranks.
        firsts : ndarray of int64
            Ascending ranks.
        budget : int, optional
            Most itemsets.

        Raises
        ------
        TooManyItemsetsError
            When there are more than `budget`.
        """
        sink = ItemsetSink(self.max_length, budget)
        known = self.vocabulary
        work = self._miner(sink).mine(rows, known.numbers, known.counts, firsts)
        yield from _pieces(sink, work)

    def mine_small(self, rows: BasketRows) -> list[FoundItemsets] | None:
        """Return all itemsets of all baskets; None where there are too many for one task."""
        budget = _OUTRIGHT_CLOSED if self.needs_whole_baskets else _OUTRIGHT
        try:
            return list(self.run(rows, np.arange(len(self.vocabulary)), budget))
        except TooManyItemsetsError:
            return None

    def run_part(
        self, rows: BasketRows, code: int, part: int, parts: int, budget: int | None = None
    ) -> Iterator[FoundItemsets]:
        """Mine a part of one class: the itemsets of some second items.

        Parameters
        ----------
        rows : BasketRows
            The class's baskets after the class's item, from an item of this part on; or, where the
            target needs whole baskets, all other items. In the first part also rows with the
            class's item, alone or with one other item, weighted by the baskets that hold both.
        code : int
            Rank of the class's item.
        part, parts : int
            The second items are those whose rank modulo `parts` is `part`.
        budget : int, optional
            As in `run`.
        """
        sink = ItemsetSink(self.max_length, budget)
        known = self.vocabulary
        head = int(known.numbers[code])
        counted = np.zeros(len(rows), bool)
        counted[
            np.searchsorted(rows.offsets, np.flatnonzero(rows.codes == code), side="right") - 1
        ] = 1
        beside = self._item_counts(rows.take(np.flatnonzero(counted)))
        beside[code] = 0
        # The item alone is closed if no other item is in all of its baskets, and maximal if no pair
        # with it is frequent.
        limit = {"closed": known.counts[code], "maximal": self.min_count}.get(self.target)
        if part == 0 and (limit is None or beside.max() < limit):
            sink.add(np.array([1]), np.array([head]), known.counts[[code]])
        rows = rows.take(np.flatnonzero(~counted))
        counts = self._item_counts(rows)
        ranks = np.arange(len(known))
        firsts = ranks[(ranks > code) & (ranks % parts == part) & (counts >= self.min_count)]
        if self.max_length != 1:
            work = self._miner(sink).mine(rows, known.numbers, counts, firsts, (head,))
            yield from _pieces(sink, work)
        elif sink.pending:
            yield sink.drain()

    def _miner(self, sink: ItemsetSink) -> FrequentMiner | ClosedMiner:
        if self.target == "frequent":
            return FrequentMiner(self.min_count, sink)
        return ClosedMiner(self.min_count, sink, maximal=self.target == "maximal")

    def _item_counts(self, rows: BasketRows) -> npt.NDArray[np.int64]:
        weights = np.repeat(rows.weights, rows.lengths)
        return np.bincount(rows.codes, weights, minlength=len(self.vocabulary)).astype(np.int64)


def _pieces(sink: ItemsetSink, work: Iterator[None]) -> Iterator[FoundItemsets]:
    """Yield the itemsets in pieces while mining goes on."""
    for _ in work:
        if sink.pending >= _PIECE:
            yield sink.drain()
    if sink.pending:
        yield sink.drain()
