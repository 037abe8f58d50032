"""The ground floor: DataFrame → shards → numpy blocks."""

from sparkml_dist.dataset.adopt import adopt
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.holdout import folds, holdout, split
from sparkml_dist.dataset.partition import partition
from sparkml_dist.dataset.partitioned import PartitionedDataset, open_partitioned

__all__ = [
    "Block",
    "PartitionedDataset",
    "adopt",
    "folds",
    "holdout",
    "open_partitioned",
    "partition",
    "split",
]
