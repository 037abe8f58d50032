"""The clusters of rows, for standard errors that trust only rows of different ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["cluster_keys"]

_MOST = 1 << 20


def cluster_keys(spark: SparkSession, data: PartitionedDataset) -> npt.NDArray[np.int64]:
    """Return the sorted keys of all rows, each of which is a cluster.

    Raises
    ------
    DataError
        ``cluster_count``.
    """

    def keys(shard: int) -> dict[str, Any]:
        found: list[int] = []
        for group in range(len(data.shards[shard].row_groups)):
            block = data.read_block(shard, [group], features=[])
            found = np.union1d(np.asarray(found, np.int64), block.key).tolist()
            if len(found) > _MOST:
                break
        return {"keys": found}

    every: npt.NDArray[np.int64] = np.zeros(0, np.int64)
    for outcome in run_tasks(spark, range(len(data.shards)), keys, description="clusters"):
        if outcome.error:
            raise outcome.error
        every = np.union1d(every, np.asarray(outcome.result["keys"], np.int64))
    if not 2 <= len(every) <= _MOST:
        raise DataError(
            "cluster_count",
            f"The key {', '.join(data.manifest.key)!r} makes {len(every):,} clusters; there must "
            f"be 2 to {_MOST:,}.",
            "Name the column of clusters with keyCol.",
        )
    return every
