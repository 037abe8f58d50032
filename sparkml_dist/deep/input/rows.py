"""The rows that a training sees: those of a data set, less the ones kept for validation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.subsets import Validation

__all__ = ["TrainingRows"]


@dataclass(frozen=True)
class TrainingRows:
    """Rows of a data set, read a row group at a time.

    Attributes
    ----------
    data : PartitionedDataset
        The shards.
    validation : Validation or None
        Rows kept from training, told by their keys.
    held_out : bool
        Whether these are the rows kept for validation, and not the others.
    class_weight : tuple of float
        Factor on the weight of the rows of each class; empty for none.
    """

    data: PartitionedDataset
    validation: Validation | None = None
    held_out: bool = False
    class_weight: tuple[float, ...] = ()

    @property
    def validating(self) -> TrainingRows:
        """The rows kept for validation; class weights do not hold for them."""
        return replace(self, held_out=True, class_weight=())

    @property
    def row_bytes(self) -> float:
        """Bytes of a row in a block in memory, on average."""
        shards = self.data.shards
        return sum(s.block_bytes for s in shards) / max(1, sum(s.rows for s in shards))

    def read(self, shard: int, row_groups: Sequence[int]) -> Block:
        """Return the chosen rows of row groups of one shard.

        Parameters
        ----------
        shard : int
        row_groups : sequence of int

        Returns
        -------
        Block
            Its weights hold the factor of each row's class.
        """
        block = self.data.read_block(shard, row_groups)
        if self.validation is not None:
            chosen = self._chosen(block.key)
            weight = None if block.weight is None else block.weight[chosen]
            block = Block(block.X[chosen], block.y[chosen], weight, block.key[chosen])
        if not self.class_weight:
            return block
        factor = np.asarray(self.class_weight, np.float32)[block.y]
        weight = factor if block.weight is None else block.weight * factor
        return replace(block, weight=weight)

    def groups(self) -> Iterator[tuple[int, int, int]]:
        """Yield shard, row group and its rows, chosen or not, of every row group."""
        for index, shard in enumerate(self.data.shards):
            for group, rows in enumerate(shard.row_groups):
                yield index, group, rows

    def count(self, part: int = 0, parts: int = 1) -> npt.NDArray[np.int64]:
        """Return how many rows each row group has, chosen and in all.

        Only keys are read, and only where rows are kept for validation.

        Parameters
        ----------
        part, parts : int
            Count every `parts`-th row group, beginning with this one; the sum over all parts is
            the whole.

        Returns
        -------
        ndarray of shape (row groups,)
            In the order of `groups`; 0 for the row groups of other parts.
        """
        groups = list(self.groups())
        found = np.zeros(len(groups), np.int64)
        for i in range(part, len(groups), parts):
            shard, group, rows = groups[i]
            if self.validation is not None:
                block = self.data.read_block(shard, [group], features=[])
                rows = int(self._chosen(block.key).sum())
            found[i] = rows
        return found

    def nested(self, counts: npt.NDArray[np.int64]) -> list[list[int]]:
        """Return counts of row groups as one list for each shard."""
        found: list[list[int]] = [[] for _ in self.data.shards]
        for (shard, _, _), rows in zip(self.groups(), counts, strict=True):
            found[shard].append(int(rows))
        return found

    def _chosen(self, key: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        assert self.validation is not None
        kept = self.validation.mask(key)
        return kept if self.held_out else ~kept
