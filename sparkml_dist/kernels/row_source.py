"""Rows to learn from: sums over all of them, and a random sample."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.cluster.sums.in_order import sum_in_order
from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.cluster.sums.over_rows import sum_over_partitions
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.block_solver import Form, run_solver
from sparkml_dist.dataset.block_sums import sum_over_blocks
from sparkml_dist.dataset.hashing import hash_long, uniform
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.kernels.sampled_rows import (
    CANDIDATES,
    LowestDraws,
    SampledRows,
    candidates,
    on_sample,
)
from sparkml_dist.kernels.scaling import dense

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["DataFrameRows", "RowSource", "ShardRows", "draws_of", "lowest_of_shard"]

_logger = logging.getLogger(__name__)

_ROWS_AT_ONCE = 8192
_PURPOSE = "kernel sample"

OnSample = Callable[[SampledRows], Summands]
#: ``solver(sums, problem)`` returns JSON values and arrays.
Solver = Callable[[Any, Any], Mapping[str, Any]]


def draws_of(keys: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.float64]:
    """Return the draw of each row key, in [0, 1): the lowest are in a sample."""
    return uniform(keys, seed, _PURPOSE)


class RowSource(Protocol):
    """Rows of a data set, whichever way they are stored.

    Solvers see no more of the data than this.
    """

    @property
    def schema(self) -> FeatureSchema:
        """The features."""
        ...

    def add(self, function: Callable[..., Summands], parameters: Sequence[Any] = ()) -> Arrays:
        """Add up ``function(block, *parameters)``, a dict of arrays, over all blocks of rows."""
        ...

    def solve(self, solver: Solver, problem: Any, passes: int) -> Mapping[str, Any]:
        """Return ``solver(sums, problem)``, which takes about so many passes over the rows.

        `sums` has the method `add`. The solver may run in a rank of a gang that keeps the rows.
        """
        ...

    def sample(self, number: int, seed: int, function: OnSample) -> Arrays:
        """Return what ``function(rows)`` makes of a random sample, in a task."""
        ...


@dataclass(frozen=True)
class ShardRows:
    """The rows of a partitioned data set; sums are the same to the bit for any number of tasks.

    Attributes
    ----------
    data : PartitionedDataset
    spark : pyspark.sql.SparkSession
    tasks : int, optional
        Most tasks of a job.
    form, ranks, memory
        As for `run_solver`.
    """

    data: PartitionedDataset
    spark: SparkSession
    tasks: int | None = None
    form: Form = "auto"
    ranks: int | None = None
    memory: int | str | None = None

    @property
    def schema(self) -> FeatureSchema:
        """The features."""
        return self.data.schema

    def add(self, function: Callable[..., Summands], parameters: Sequence[Any] = ()) -> Arrays:
        """Add up a function over all blocks; see `sum_over_blocks`."""
        return sum_over_blocks(
            self.spark,
            self.data,
            function,
            parameters,
            tasks=self.tasks,
            description="sum for a kernel",
        )

    def solve(self, solver: Solver, problem: Any, passes: int) -> Mapping[str, Any]:
        """Run a solver by Spark jobs or in a gang; see `run_solver`."""
        solved = run_solver(
            self.spark,
            self.data,
            solver,
            problem,
            form=self.form,
            passes=passes,
            ranks=self.ranks,
            tasks=self.tasks,
            memory=self.memory,
            description="kernel machine",
        )
        _logger.info("%d passes, form %s", len(solved.pass_seconds), solved.form)
        return solved.value

    def sample(self, number: int, seed: int, function: OnSample) -> Arrays:
        """Return ``function`` of the rows whose keys have the lowest hashes; see `on_sample`."""
        total = self.data.n_rows
        # A few more than are needed on average, so that only these are sent to the one task.
        enough = min(1.0, (number + 6 * np.sqrt(number) + 10) / max(1, total))
        found = self._sample(number, seed, function, enough)
        if found is None:
            found = self._sample(number, seed, function, 1.0)
        assert found is not None
        return found

    def _sample(self, number: int, seed: int, function: OnSample, below: float) -> Arrays | None:
        data, wanted = self.data, min(number, self.data.n_rows) if below < 1 else 0

        def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for shard in batch.column(0).to_pylist():
                    yield candidates(lowest_of_shard(data, shard, number, seed, below))

        shards = len(data.shards)
        looked = self.spark.range(0, shards, 1, shards).mapInArrow(look, CANDIDATES)
        return on_sample(looked, number, function, least=wanted)


def lowest_of_shard(
    data: PartitionedDataset,
    shard: int,
    number: int,
    seed: int,
    below: float,
    above: float = -1.0,
) -> LowestDraws:
    """Return the rows of a shard with the lowest draws between `above` and `below`, exclusive."""
    lowest = LowestDraws(number)
    for group in range(len(data.shards[shard].row_groups)):
        block = data.read_block(shard, [group], dtype=np.float64)
        draws = draws_of(block.key, seed)
        here = np.flatnonzero((draws < below) & (draws > above))
        weight = None if block.weight is None else block.weight[here]
        lowest.add(draws[here], dense(block.X[here]), block.y[here], weight)
    return lowest


@dataclass(frozen=True)
class DataFrameRows:
    """The rows of a DataFrame, without labels; sums depend on its partitions in their last bits.

    A row's draw for the sample is a hash of its features.
    """

    df: DataFrame
    schema: FeatureSchema

    def add(self, function: Callable[..., Summands], parameters: Sequence[Any] = ()) -> Arrays:
        """Add up a function over all blocks of rows; see `sum_over_partitions`."""
        schema, given = self.schema, tuple(parameters)

        def total(batches: Iterator[pa.RecordBatch]) -> Summands:
            found = sum_in_order(function(block, *given) for block in _blocks(schema, batches))
            return found or function(_block(np.empty((0, schema.n_features))), *given)

        return sum_over_partitions(
            self.df.select(*self.schema.transport()), total, description="sum for a kernel"
        )

    def solve(self, solver: Solver, problem: Any, passes: int) -> Mapping[str, Any]:
        """Run a solver by Spark jobs."""
        return solver(self, problem)

    def sample(self, number: int, seed: int, function: OnSample) -> Arrays:
        """Return ``function`` of the rows whose content has the lowest hashes; see `on_sample`."""
        schema = self.schema

        def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            lowest = LowestDraws(number)
            for block in _blocks(schema, batches):
                lowest.add(draws_of(block.key, seed), block.X, block.y, None)
            yield candidates(lowest)

        looked = self.df.select(*schema.transport()).mapInArrow(look, CANDIDATES)
        found = on_sample(looked, number, function)
        assert found is not None
        return found


def _blocks(schema: FeatureSchema, batches: Iterator[pa.RecordBatch]) -> Iterator[Block]:
    structs = (batch.to_struct_array() for batch in batches)
    for batch in joined_batches(structs, _ROWS_AT_ONCE):
        if len(batch):
            features = schema.encode([batch.field(i) for i in range(schema.n_transported)])
            yield _block(dense(features))


def _block(X: Any) -> Block:
    """Return rows as a block, with hashes of their content as keys."""
    keys = np.zeros(len(X), np.uint64)
    # 0.0 and -0.0 are one value.
    for column in (X + 0.0).T:
        keys = hash_long(np.ascontiguousarray(column).view(np.int64), keys)
    return Block(X, np.zeros(len(X)), None, keys.view(np.int64))
