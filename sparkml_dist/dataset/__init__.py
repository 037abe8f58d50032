"""From DataFrame to shards to numpy blocks."""

from sparkml_dist.dataset.adoption import adopt
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.partitioned import PartitionedDataset, open_partitioned
from sparkml_dist.dataset.partitioning import partition
from sparkml_dist.dataset.splits import folds, holdout, split

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
