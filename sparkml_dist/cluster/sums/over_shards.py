"""Sums over shards: tasks form them over their own shards, and executors add them up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sparkml_dist.cluster.sums.exchange import SCHEMA, LeafTask, added_up
from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["sum_over_shards"]

# Tasks to a slot, at least: with more of them no slot waits long for the slowest.
_TASKS_PER_SLOT = 2


def sum_over_shards(
    spark: SparkSession,
    shards: int | Sequence[int],
    function: Callable[..., Summands],
    parameters: Sequence[Any] = (),
    *,
    tasks: int | None = None,
    description: str = "sum over shards",
) -> Arrays:
    """Add up the arrays that a function returns for each shard.

    The sums are bit-identical for any number of tasks, executors and attempts, on any
    kind of Spark: shards are added along a fixed binary tree over their positions in `shards`
    (see `SummationTree`), first those of a task, then those of all tasks on executors, chunk by
    chunk. The driver receives only the result.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        Classic or Connect.
    shards : int or sequence of int
        How many shards there are, or their numbers in the order in which they are added.
    function : callable
        ``function(shard, *parameters)`` returns a dict of arrays or numbers, of the same names,
        types and shapes for each shard, zeros for a shard without rows. Floats are added as
        float64, integers and booleans as int64. It is pickled, runs with BLAS and OpenMP capped
        at the task's cores, and must return the same for the same shard, since Spark may call it
        again where a task or an executor was lost; lost results are not counted.
    parameters : sequence, optional
        What changes from one pass to the next, such as ``(coefficients,)``.
    tasks : int, optional
        Maximum number of tasks, each with a power of two of neighbouring shards. By default two to
        four to each slot.
    description : str, default="sum over shards"
        Shown in the Spark UI.

    Returns
    -------
    dict of ndarray
        float64 or int64, of the names and shapes that the function returned. Empty where there
        are no shards.

    Raises
    ------
    SparkMLDistError
        Of the first shard that failed, its number in the message: the toolkit's own errors as
        they are, any other as a `TrainingError` of the code ``task_failed`` with the last lines
        of its traceback in its attribute `trace`. Input/output and memory errors are retried, as
        Spark retries a task.
    ConfigurationError
        ``invalid_sums`` where the function returns anything but a dict of numeric arrays;
        ``sums_differ`` where names, types or shapes differ between shards.
    DataError
        ``sum_overflow`` where a sum of integers is greater than int64 can hold.

    Notes
    -----
    Memory: a task of 2**k shards holds k + 1 results of the function at most; where chunks of a
    megabyte are added up, a task holds one for each level of the tree. The result must fit into
    the driver, and below ``spark.driver.maxResultSize``. Chunks that are mostly zero are
    sent as their non-zero cells.

    The error of a sum over n shards is at most ``ceil(log2(n)) * eps / 2 * sum(abs(x))`` to first
    order, x being what the function returned; sums of integers are exact.

    Examples
    --------
    >>> def moments(shard, centre):
    ...     d = data.read_block(shard, dtype="float64").X - centre
    ...     return {"rows": len(d), "gram": d.T @ d}
    >>> sums = sum_over_shards(spark, len(data.shards), moments, (np.zeros(4),))
    >>> (sums["gram"] / sums["rows"]).shape
    (4, 4)
    """
    todo = range(shards) if isinstance(shards, int) else tuple(shards)
    if not todo:
        return {}
    info = SessionInfo.of(spark)
    block = _shards_of_a_task(len(todo), tasks, _TASKS_PER_SLOT * (info.slots or 1))
    number = -(-len(todo) // block)
    tasks_of = spark.range(0, number, 1, number)
    leaf = LeafTask.of(info, tasks_of)
    work = _ShardTask(leaf, todo, block, partial(_call, function, tuple(parameters)))
    parts = tasks_of.mapInArrow(work, SCHEMA)
    found = added_up(parts, info, lambda position: f"Shard {todo[position]}", description)
    assert found is not None
    return found


def _shards_of_a_task(shards: int, most: int | None, wanted: int) -> int:
    """Return the power of two of shards to a task.

    Whole nodes of the tree, so that a task has a single sum to hand on. As many shards as leave
    `wanted` tasks, or as few as make no more than `most`.
    """
    size = 1
    if most is None:
        while size < shards and -(-shards // (2 * size)) >= min(wanted, shards):
            size *= 2
        return size
    while -(-shards // size) > max(1, most):
        size *= 2
    return size


def _call(function: Callable[..., Summands], parameters: tuple[Any, ...], shard: int) -> Summands:
    return function(shard, *parameters)


@dataclass(frozen=True)
class _ShardTask:
    """Sums up the shards of a task."""

    leaf: LeafTask
    shards: Sequence[int]
    block: int
    function: Callable[[int], Summands]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.column(0).to_pylist():
                end = min(len(self.shards), (task + 1) * self.block)
                yield from self.leaf.rows(
                    (position, partial(self.function, self.shards[position]))
                    for position in range(task * self.block, end)
                )
