"""What a task mines with: the same for one task and for many."""

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

# Item numbers of itemsets that are handed out in one piece.
_PIECE = 1 << 21
# Itemsets that one task finds at most of a problem that seems small; with more of them, many tasks
# are faster. Closed itemsets cost more to find.
_OUTRIGHT, _OUTRIGHT_CLOSED = 1 << 20, 1 << 17


@dataclass(frozen=True)
class Mining:
    """What is looked for.

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
        """Whether a class is mined from all items of its baskets, not only from the later ones."""
        return self.target != "frequent"

    def run(
        self, rows: BasketRows, firsts: npt.NDArray[np.int64], budget: int | None = None
    ) -> Iterator[FoundItemsets]:
        """Mine the classes of `firsts`, in pieces.

        Parameters
        ----------
        rows : BasketRows
            The baskets that hold one of `firsts`, coded by rank.
        firsts : ndarray of int64
            Ascending ranks.
        budget : int, optional
            Itemsets at which to give up.

        Raises
        ------
        TooManyItemsetsError
            When there are more than `budget`.
        """
        sink = ItemsetSink(self.max_length, budget)
        known = self.vocabulary
        work = self._miner(sink).mine(rows, known.numbers, known.counts, firsts)
        yield from _pieces(sink, work)

    def outright(self, rows: BasketRows) -> list[FoundItemsets] | None:
        """Return all itemsets of all baskets, or None where there are too many for one task."""
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
            What comes after the class's item in its baskets, from an item of this part on; or,
            where the target needs whole baskets, all of them but the class's item. Also, in the
            first part, rows that hold the class's item: alone, or beside one other item, for as
            many baskets as hold both.
        code : int
            Rank of the class's item.
        part, parts : int
            The second items are those whose rank modulo `parts` is `part`.
        budget : int, optional
            As `run` takes it.
        """
        sink = ItemsetSink(self.max_length, budget)
        known = self.vocabulary
        head = int(known.numbers[code])
        told = np.zeros(len(rows), bool)
        told[
            np.searchsorted(rows.offsets, np.flatnonzero(rows.codes == code), side="right") - 1
        ] = 1
        beside = self._item_counts(rows.take(np.flatnonzero(told)))
        beside[code] = 0
        # The item alone is closed where no other is in all of its baskets, and maximal where no
        # pair with it is frequent.
        limit = {"closed": known.counts[code], "maximal": self.min_count}.get(self.target)
        if part == 0 and (limit is None or beside.max() < limit):
            sink.add(np.array([1]), np.array([head]), known.counts[[code]])
        rows = rows.take(np.flatnonzero(~told))
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
    """Hand out what is found while the work goes on, in pieces of some size."""
    for _ in work:
        if sink.pending >= _PIECE:
            yield sink.drain()
    if sink.pending:
        yield sink.drain()
