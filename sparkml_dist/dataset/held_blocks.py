"""Blocks of some shards, kept in memory as far as they fit, and sums over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.in_order import OrderedSum, sum_in_order
from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.partitioned import PartitionedDataset

__all__ = ["HeldBlocks"]


class HeldBlocks:
    """The blocks of neighbouring shards: read once, and kept in memory as far as they fit.

    Where all of them fit as the requested type they are kept like that; otherwise as they are
    stored, which takes half of it for float32, and converted for each pass. Blocks beyond `memory`
    are read in each pass.

    Parameters
    ----------
    data : PartitionedDataset
    shards : range, optional
        Positions of the shards; all by default.
    memory : int, default=0
        Most bytes that are kept.
    dtype : dtype, default=float64
        Type of a dense matrix.
    on_block : callable, optional
        Called before each block.

    Attributes
    ----------
    data : PartitionedDataset
    passes : int
    kept_bytes : int
        Bytes kept so far.
    """

    def __init__(
        self,
        data: PartitionedDataset,
        shards: range | None = None,
        *,
        memory: int = 0,
        dtype: npt.DTypeLike = np.float64,
        on_block: Callable[[], None] = lambda: None,
    ) -> None:
        self.data = data
        self.passes = 0
        self.kept_bytes = 0
        self._shards = range(len(data.shards)) if shards is None else shards
        self._memory = memory
        self._dtype = np.dtype(dtype)
        self._on_block = on_block
        self._kept: dict[tuple[int, int], Block] = {}
        stored = data.schema.dtype
        rows = sum(data.shards[s].rows for s in self._shards)
        dense = data.layout != "sparse"
        fits = rows * data.n_features * self._dtype.itemsize <= memory
        self._kept_dtype = self._dtype if dense and fits else stored

    def add(self, function: Callable[..., Summands], parameters: Sequence[Any] = ()) -> Arrays:
        """Return the sums of ``function(block, *parameters)`` over all blocks; see `Sums`."""
        return _total(self.ordered(function, parameters))

    def add_shards(
        self, function: Callable[..., Summands], parameters: Sequence[Any] = ()
    ) -> Arrays:
        """Return the sums of ``function(shard, blocks, *parameters)`` over all shards."""
        return _total(self.ordered(function, parameters, by_shard=True))

    def ordered(
        self,
        function: Callable[..., Summands],
        parameters: Sequence[Any] = (),
        *,
        by_shard: bool = False,
    ) -> OrderedSum:
        """Return the nodes of the sums along the tree over all shards' positions.

        Parameters
        ----------
        function, parameters
            As for `Sums.add`, or `Sums.add_shards`.
        by_shard : bool, default=False
            Whether `function` takes whole shards.
        """
        self.passes += 1
        found = OrderedSum(self._shards.start)
        for shard in self._shards:
            if by_shard:
                found.add(shard, function(shard, self._blocks(shard), *parameters))
            else:
                parts = (function(block, *parameters) for block in self._blocks(shard))
                found.add(shard, sum_in_order(parts))
        return found

    def _blocks(self, shard: int) -> Iterator[Block]:
        # A shard without rows is one block, as for `sum_over_blocks`.
        for group in range(len(self.data.shards[shard].row_groups)) or (None,):
            self._on_block()
            block = self._block(shard, group)
            if isinstance(block.X, np.ndarray) and block.X.dtype != self._dtype:
                block = replace(block, X=block.X.astype(self._dtype))
            yield block

    def _block(self, shard: int, group: int | None) -> Block:
        place = (shard, -1 if group is None else group)
        if (kept := self._kept.get(place)) is not None:
            return kept
        groups = None if group is None else [group]
        room = self._memory - self.kept_bytes
        rows = (
            self.data.shards[shard].rows
            if group is None
            else (self.data.shards[shard].row_groups[group])
        )
        # Of a block that will not be kept, no copy in another type is made.
        wide = rows * self.data.n_features * self._kept_dtype.itemsize > room
        kind = self._dtype if wide and self.data.layout != "sparse" else self._kept_dtype
        block = self.data.read_block(shard, groups, dtype=kind)
        size = block.nbytes + block.y.nbytes + block.key.nbytes
        if size <= room and kind == self._kept_dtype:
            self._kept[place] = block
            self.kept_bytes += size
        return block


def _total(found: OrderedSum) -> Arrays:
    if found.layout is None:
        return {}
    return found.layout.unpack(*found.tree.total())
