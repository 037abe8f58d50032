"""The rows of one rank: an equal range of all rows, read in blocks of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.subsets import Validation

__all__ = ["Piece", "RankRows", "rank_pieces"]


@dataclass(frozen=True)
class Piece:
    """Consecutive row groups of one shard, and the range of their rows that belongs to a rank."""

    shard: int
    row_groups: tuple[int, ...]
    start: int
    stop: int


def rank_pieces(
    data: PartitionedDataset, rank: int, size: int, most_rows: int
) -> tuple[Piece, ...]:
    """Return what a rank reads: its range of all rows, which differ by one row at most.

    Ranges end inside row groups where they must, so that there may be more ranks than shards and
    row groups.

    Parameters
    ----------
    data : PartitionedDataset
    rank, size : int
        Number of the rank, and of ranks.
    most_rows : int
        Rows that are read at once, unless a single row group has more.
    """
    total = data.n_rows
    first, last = total * rank // size, total * (rank + 1) // size
    pieces: list[Piece] = []
    begin = 0
    for shard in data.shards:
        groups: list[int] = []
        start = stop = rows = 0
        # Parts of a shard are of about equal size: a small last one costs as much as a large one.
        own = max(0, min(last, begin + shard.rows) - max(first, begin))
        even = -(-own // max(1, -(-own // most_rows)))
        for group, count in enumerate(shard.row_groups):
            low, high = max(first, begin) - begin, min(last, begin + count) - begin
            begin += count
            if low >= high:
                continue
            if groups and (rows >= even or rows + count > most_rows):
                pieces.append(Piece(shard.index, tuple(groups), start, stop))
                groups = []
            if not groups:
                start, rows = low, 0
            groups.append(group)
            stop, rows = rows + high, rows + count
        if groups:
            pieces.append(Piece(shard.index, tuple(groups), start, stop))
    return tuple(pieces)


@dataclass(frozen=True)
class RankRows:
    """The training rows of a rank, or those of its rows that are held out.

    Attributes
    ----------
    data : PartitionedDataset
    pieces : tuple of Piece
    validation : Validation or None
        Which rows are held out.
    held_out : bool
        Whether these are the held-out rows.
    """

    data: PartitionedDataset
    pieces: tuple[Piece, ...]
    validation: Validation | None = None
    held_out: bool = False

    def blocks(self) -> Iterator[Block]:
        """Yield the rows in blocks; those without any row are left out."""
        for piece in self.pieces:
            block = self.data.read_block(piece.shard, piece.row_groups)
            chosen: slice | npt.NDArray[np.bool_] = slice(piece.start, piece.stop)
            if self.validation is not None:
                inside = np.zeros(len(block), bool)
                inside[piece.start : piece.stop] = True
                chosen = inside & (self.validation.mask(block.key) == self.held_out)
            elif piece.start == 0 and piece.stop == len(block):
                yield block
                continue
            weight = None if block.weight is None else block.weight[chosen]
            part = Block(block.X[chosen], block.y[chosen], weight, block.key[chosen])
            if len(part):
                yield part

    def count(self) -> int:
        """Return the number of rows; reads keys only where rows are held out."""
        if self.validation is None:
            return sum(p.stop - p.start for p in self.pieces)
        found = 0
        for piece in self.pieces:
            key = self.data.read_block(piece.shard, piece.row_groups, features=[]).key
            kept = self.validation.mask(key[piece.start : piece.stop]) == self.held_out
            found += int(kept.sum())
        return found
