"""What a task mines with: the same for one task and for many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.mining.itemsets.basket_rows import BasketRows
from sparkml_dist.mining.itemsets.closed_miner import ClosedMiner
from sparkml_dist.mining.itemsets.frequent_miner import FrequentMiner
from sparkml_dist.mining.itemsets.itemset_sink import FoundItemsets, ItemsetSink
from sparkml_dist.mining.itemsets.vocabulary import Vocabulary

__all__ = ["Mining"]

# Item numbers of itemsets that are handed out in one piece.
_PIECE = 1 << 21


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
        if self.target == "frequent":
            work = FrequentMiner(self.min_count, sink).mine(
                rows, known.numbers, known.counts, firsts
            )
        else:
            miner = ClosedMiner(self.min_count, sink, maximal=self.target == "maximal")
            work = miner.mine(rows, known.numbers, known.counts, firsts)
        yield from _pieces(sink, work)

    def run_part(
        self, rows: BasketRows, code: int, part: int, parts: int, budget: int | None = None
    ) -> Iterator[FoundItemsets]:
        """Mine a part of one class of frequent itemsets: those of some second items.

        Parameters
        ----------
        rows : BasketRows
            What comes after the class's item in its baskets, from an item of this part on; also
            rows of that item alone, in the first part.
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
        if part == 0:
            sink.add(np.array([1]), np.array([head]), known.counts[[code]])
        ranks = np.arange(len(known))
        weights = np.repeat(rows.weights, rows.lengths)
        counts = np.bincount(rows.codes, weights, minlength=len(known)).astype(np.int64)
        firsts = ranks[(ranks > code) & (ranks % parts == part) & (counts >= self.min_count)]
        if self.max_length != 1:
            miner = FrequentMiner(self.min_count, sink)
            yield from _pieces(sink, miner.mine(rows, known.numbers, counts, firsts, (head,)))
        elif sink.pending:
            yield sink.drain()


def _pieces(sink: ItemsetSink, work: Iterator[None]) -> Iterator[FoundItemsets]:
    """Hand out what is found while the work goes on, in pieces of some size."""
    for _ in work:
        if sink.pending >= _PIECE:
            yield sink.drain()
    if sink.pending:
        yield sink.drain()
