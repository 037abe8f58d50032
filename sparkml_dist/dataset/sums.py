"""What an iterative solver sees of the data: sums over its blocks, whoever forms them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.cluster.sums.over_shards import sum_over_shards
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.block_sums import sum_over_blocks
from sparkml_dist.dataset.partitioned import PartitionedDataset

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["JobSums", "Sums"]


class Sums(Protocol):
    """Sums over a data set, pass by pass; a solver does not know who forms them.

    `JobSums` runs a Spark job for each pass; in a gang (`run_solver`), the ranks keep their blocks
    in memory. The sums are the same to the last bit.

    Attributes
    ----------
    data : PartitionedDataset
    passes : int
        Passes over the data so far.
    """

    data: PartitionedDataset
    passes: int

    def add(self, function: Callable[..., Summands], parameters: Sequence[Any] = ()) -> Arrays:
        """Return the sums of ``function(block, *parameters)`` over all blocks.

        Parameters
        ----------
        function : callable
            Returns a dict of arrays of the same names, types and shapes for each `Block`; a dense
            matrix is float64. It and its parameters are pickled.
        parameters : sequence, optional
            What changes from pass to pass, such as ``(coefficients,)``.

        Returns
        -------
        dict of ndarray
            float64 or int64.

        Raises
        ------
        SparkMLDistError
            See `sum_over_blocks`.
        """
        ...

    def add_shards(
        self, function: Callable[..., Summands], parameters: Sequence[Any] = ()
    ) -> Arrays:
        """Return the sums of ``function(shard, blocks, *parameters)`` over all shards.

        Parameters
        ----------
        function : callable
            Gets the number of a shard and an iterable of its blocks, one in memory at a time.
        parameters : sequence, optional

        Returns
        -------
        dict of ndarray
        """
        ...


class JobSums:
    """Sums of which each is a Spark job that reads the shards; see `Sums`.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    data : PartitionedDataset
    dtype : dtype, default=float64
        Type of a dense matrix.
    tasks, description
        As for `sum_over_blocks`.

    Attributes
    ----------
    seconds : list of float
        Of each pass.
    """

    def __init__(
        self,
        spark: SparkSession,
        data: PartitionedDataset,
        *,
        dtype: npt.DTypeLike = np.float64,
        tasks: int | None = None,
        description: str = "sums",
    ) -> None:
        self.data = data
        self.passes = 0
        self.seconds: list[float] = []
        self._spark = spark
        self._dtype = dtype
        self._tasks = tasks
        self._description = description

    def add(self, function: Callable[..., Summands], parameters: Sequence[Any] = ()) -> Arrays:
        """Return the sums of ``function(block, *parameters)`` over all blocks."""
        with self._timed():
            return sum_over_blocks(
                self._spark,
                self.data,
                function,
                parameters,
                dtype=self._dtype,
                tasks=self._tasks,
                description=f"{self._description}: pass {self.passes}",
            )

    def add_shards(
        self, function: Callable[..., Summands], parameters: Sequence[Any] = ()
    ) -> Arrays:
        """Return the sums of ``function(shard, blocks, *parameters)`` over all shards."""
        with self._timed():
            return sum_over_shards(
                self._spark,
                len(self.data.shards),
                _WithBlocks(self.data, function, self._dtype),
                parameters,
                tasks=self._tasks,
                description=f"{self._description}: pass {self.passes}",
            )

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        self.passes += 1
        begun = time.perf_counter()
        yield
        self.seconds.append(time.perf_counter() - begun)


@dataclass(frozen=True)
class _WithBlocks:
    data: PartitionedDataset
    function: Callable[..., Summands]
    dtype: npt.DTypeLike

    def __call__(self, shard: int, *parameters: Any) -> Summands:
        return self.function(shard, self._blocks(shard), *parameters)

    def _blocks(self, shard: int) -> Iterable[Block]:
        for group in range(len(self.data.shards[shard].row_groups)):
            yield self.data.read_block(shard, [group], dtype=self.dtype)
