"""A copy of a partitioned data set without some of its rows, for learners that take no subset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.manifest import MANIFEST, Manifest
from sparkml_dist.dataset.partitioned import PartitionedDataset, open_partitioned
from sparkml_dist.dataset.shard_commits import committed_shard, write_shards
from sparkml_dist.dataset.subsets import Subset
from sparkml_dist.dataset.writer import ShardWriter
from sparkml_dist.errors import DataError
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["write_without"]


@dataclass(frozen=True)
class _Copy:
    """Copies one shard, in a task."""

    data: PartitionedDataset
    folder: Folder
    subset: Subset

    def __call__(self, shard: int) -> dict[str, Any]:
        manifest = self.data.manifest
        weighted = manifest.weight is not None
        writer = ShardWriter(self.folder, manifest.schema, manifest.label, weighted, 1)
        return committed_shard(
            self.folder, shard, lambda: writer.write_blocks(shard, self._blocks(shard))
        )

    def _blocks(self, shard: int) -> Iterator[Block]:
        for group in range(len(self.data.shards[shard].row_groups)):
            block = self.data.read_block(shard, [group])
            rows = np.flatnonzero(~self.subset.mask(block.key))
            if len(rows):
                weight = None if block.weight is None else block.weight[rows]
                yield Block(block.X[rows], block.y[rows], weight, block.key[rows])


def write_without(
    spark: SparkSession, data: PartitionedDataset, folder: Folder, subset: Subset
) -> PartitionedDataset:
    """Write a data set without a subset of its rows, a task for each shard.

    The copy has the schema, classes, keys and order of the data set. What was committed before is
    kept: a repeated call only opens the copy.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    data : PartitionedDataset
    folder : Folder
        Of the copy.
    subset : Subset
        Rows to leave out.

    Raises
    ------
    DataError
        ``no_training_rows`` if no row is left.
    """
    if folder.exists(MANIFEST):
        return open_partitioned(folder.location)
    copy = _Copy(data, folder, subset)
    shards, missing, _ = write_shards(
        spark, len(data.shards), copy, description="copy shards without held-out rows"
    )
    if not sum(s.rows for s in shards):
        raise DataError(
            "no_training_rows",
            f"All {data.n_rows:,} rows are held out.",
            "Hold out fewer rows, or use a key with more values.",
        )
    manifest: Manifest = replace(
        data.manifest, shards=shards, missing_features=missing, encoded=True
    )
    manifest.write(folder)
    return PartitionedDataset(folder, manifest)
