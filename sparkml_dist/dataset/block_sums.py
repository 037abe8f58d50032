"""Sums over the blocks of a partitioned data set, streamed and exact in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.in_order import sum_in_order
from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.cluster.sums.over_shards import sum_over_shards
from sparkml_dist.dataset.partitioned import PartitionedDataset

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["sum_over_blocks"]


def sum_over_blocks(
    spark: SparkSession,
    data: PartitionedDataset,
    function: Callable[..., Summands],
    parameters: Sequence[Any] = (),
    *,
    features: Sequence[int] | None = None,
    dtype: npt.DTypeLike = np.float64,
    tasks: int | None = None,
    description: str = "sum over blocks",
) -> Arrays:
    """Add up the arrays that a function returns for each block of a data set.

    A block is a row group of a shard: a task holds one at a time, so that shards may be larger
    than its memory. Blocks are added along a tree within each shard, and shards along a tree by
    `sum_over_shards`: the sums are the same to the last bit for any number of tasks.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    data : PartitionedDataset
    function : callable
        ``function(block, *parameters)`` returns a dict of arrays or numbers, of the same names,
        types and shapes for each `Block`; see `sum_over_shards`.
    parameters : sequence, optional
        What changes from one pass to the next.
    features : sequence of int, optional
        Which features are read, in which order; all by default.
    dtype : dtype, default=float64
        Type of a dense matrix.
    tasks, description
        As for `sum_over_shards`.

    Returns
    -------
    dict of ndarray
        float64 or int64.

    Raises
    ------
    SparkMLDistError
        As `sum_over_shards`, with the number of the shard; a `StorageError` where it is missing
        or damaged.

    Examples
    --------
    >>> def gradient(block, w):
    ...     return {"gradient": block.X.T @ (block.X @ w - block.y), "rows": len(block)}
    >>> sum_over_blocks(spark, data, gradient, (np.zeros(4),))["gradient"].shape
    (4,)
    """
    work = _ShardSum(data, function, None if features is None else tuple(features), dtype)
    return sum_over_shards(
        spark, len(data.shards), work, parameters, tasks=tasks, description=description
    )


@dataclass(frozen=True)
class _ShardSum:
    data: PartitionedDataset
    function: Callable[..., Summands]
    features: tuple[int, ...] | None
    dtype: npt.DTypeLike

    def __call__(self, shard: int, *parameters: Any) -> Summands:
        groups: Sequence[Sequence[int] | None] = [
            [g] for g in range(len(self.data.shards[shard].row_groups))
        ]
        return sum_in_order(
            self.function(
                self.data.read_block(shard, group, features=self.features, dtype=self.dtype),
                *parameters,
            )
            for group in groups or [None]
        )
