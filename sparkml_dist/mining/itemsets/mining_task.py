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
        for _ in work:
            if sink.pending >= _PIECE:
                yield sink.drain()
        if sink.pending:
            yield sink.drain()
