"""Sums over the rows of a DataFrame: over its partitions, or over groups of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from sparkml_dist.cluster.sums.exchange import SCHEMA, LeafTask, added_up
from sparkml_dist.cluster.sums.in_order import sum_in_order
from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["sum_over_groups", "sum_over_partitions"]


def sum_over_partitions(
    df: DataFrame,
    function: Callable[[Iterator[pa.RecordBatch]], Summands],
    *,
    description: str = "sum over rows",
) -> Arrays:
    """Add up the arrays that a function returns for each partition of a DataFrame.

    As `sum_over_shards`, with partitions in the place of shards: the sums are
    bit-identical as long as the partitions hold the same rows in the same order.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        Classic or Connect.
    function : callable
        From an iterator of the partition's Arrow batches to a dict of arrays or numbers, zeros
        where there are no rows.
    description : str, default="sum over rows"
        Shown in the Spark UI.

    Returns
    -------
    dict of ndarray
        float64 or int64.

    Raises
    ------
    SparkMLDistError
        As `sum_over_shards`, with the number of the partition.

    Examples
    --------
    >>> def count(batches):
    ...     return {"rows": sum(batch.num_rows for batch in batches)}
    >>> sum_over_partitions(iris, count)
    {'rows': array(150)}
    """
    info = SessionInfo.of(df.sparkSession)
    leaf = LeafTask.of(info, df)

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        position = context.partitionId() if context is not None else 0
        yield from leaf.rows([(position, partial(function, batches))])

    parts = df.mapInArrow(task, SCHEMA)
    found = added_up(parts, info, lambda position: f"Partition {position}", description)
    # A table without partitions has no tasks.
    return found if found is not None else sum_in_order([function(iter(()))])


def sum_over_groups(
    df: DataFrame,
    key: str,
    function: Callable[[pa.Table], Summands],
    *,
    description: str = "sum over groups",
) -> Arrays:
    """Add up the arrays that a function returns for each group of rows of a DataFrame.

    As `sum_over_shards`, with groups in the place of shards: the sums are bit-identical
    however the rows were partitioned, if the function does not depend on the order of its rows.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        Classic or Connect.
    key : str
        Column of integers >= 0 that identifies the group. A group must fit into a task's memory.
    function : callable
        From the group's rows to a dict of arrays or numbers.
    description : str, default="sum over groups"
        Shown in the Spark UI.

    Returns
    -------
    dict of ndarray
        float64 or int64; empty where there are no rows.

    Raises
    ------
    SparkMLDistError
        As `sum_over_shards`, with the number of the group.
    """
    info = SessionInfo.of(df.sparkSession)
    leaf = LeafTask.of(info, df)

    def task(table: pa.Table) -> pa.Table:
        position = int(table.column(key)[0].as_py())
        return pa.Table.from_batches(leaf.rows([(position, partial(function, table))]))

    parts = df.groupBy(key).applyInArrow(task, SCHEMA)
    return added_up(parts, info, lambda position: f"Group {position}", description) or {}
