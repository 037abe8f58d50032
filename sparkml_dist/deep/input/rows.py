"""The rows of a training: those of a data set without held-out ones."""

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
    """Rows of a data set, read one row group at a time.

    Attributes
    ----------
    data : PartitionedDataset
        The shards.
    validation : Validation or None
        Validation set, a function of row keys, which is held out from training.
    held_out : bool
        Whether these are the held-out rows instead of the training rows.
    class_weight : tuple of float
        Factor on the weights of each class's rows; empty for none.
    """

    data: PartitionedDataset
    validation: Validation | None = None
    held_out: bool = False
    class_weight: tuple[float, ...] = ()

    @property
    def validating(self) -> TrainingRows:
        """The held-out rows; class weights do not apply to them."""
        return replace(self, held_out=True, class_weight=())

    @property
    def row_bytes(self) -> float:
        """Average bytes of a row in a block in memory."""
        shards = self.data.shards
        return sum(s.block_bytes for s in shards) / max(1, sum(s.rows for s in shards))

    def read(self, shard: int, row_groups: Sequence[int]) -> Block:
        """Return the selected rows of row groups of one shard.

        Parameters
        ----------
        shard : int
        row_groups : sequence of int

        Returns
        -------
        Block
            Its weights include the class weights.
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
        """Yield shard, row group and number of rows, selected or not, for all row groups."""
        for index, shard in enumerate(self.data.shards):
            for group, rows in enumerate(shard.row_groups):
                yield index, group, rows

    def count(self, part: int = 0, parts: int = 1) -> npt.NDArray[np.int64]:
        """Return the number of selected rows of each row group.

        Reads only keys, and only when rows are held out.

        Parameters
        ----------
        part, parts : int
            Count every `parts`-th row group, starting with row group `part`; the sum over all
            parts is the result for all row groups.

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
        """Return counts of row groups as a list for each shard."""
        found: list[list[int]] = [[] for _ in self.data.shards]
        for (shard, _, _), rows in zip(self.groups(), counts, strict=True):
            found[shard].append(int(rows))
        return found

    def _chosen(self, key: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        assert self.validation is not None
        kept = self.validation.mask(key)
        return kept if self.held_out else ~kept
