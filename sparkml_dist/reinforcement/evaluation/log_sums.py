"""Sums over the episodes of a log, in shards or in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sparkml_dist.cluster.sums.in_order import sum_in_order
from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.cluster.sums.over_shards import sum_over_shards
from sparkml_dist.reinforcement.transition_block import TransitionBlock

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from sparkml_dist.reinforcement.transition_dataset import TransitionDataset

__all__ = ["LogFacts", "LogSums", "MemoryLog", "ShardLog"]

#: From the blocks of a shard, each of whole episodes, to its sums.
OnBlocks = Callable[..., Summands]


@dataclass(frozen=True)
class LogFacts:
    """What is known of a log before it is read.

    Attributes
    ----------
    actions : tuple
        The list of actions, by code.
    taken : tuple of int
        How often the log takes each of them.
    episodes, rows : int
    horizon : int
        Most actions of an episode.
    cut_off : int
        Episodes that end without a termination.
    unknown : int
        Those of them after whose last action the state is not known.
    """

    actions: tuple[Any, ...]
    taken: tuple[int, ...]
    episodes: int
    rows: int
    horizon: int
    cut_off: int
    unknown: int


class LogSums(Protocol):
    """What an estimator sees of a log: sums over shards of whole episodes."""

    @property
    def facts(self) -> LogFacts:
        """Counts of the log."""
        ...

    def add(self, function: OnBlocks, *parameters: Any, description: str = "") -> Arrays:
        """Return the sums of ``function(blocks, *parameters)`` over all shards."""
        ...


@dataclass(frozen=True)
class ShardLog:
    """A log in shards; each sum is a Spark job that reads them."""

    spark: SparkSession
    data: TransitionDataset
    tasks: int | None = None

    @property
    def facts(self) -> LogFacts:
        """Counts of the log, from its summary."""
        found = self.data.summary
        return LogFacts(
            self.data.actions,
            tuple(int(n) for _, n in found["actions"]),
            int(found["episodes"]),
            int(found["rows"]),
            int(found["length"]["max"]),
            int(found["episodes"] - found["terminated"]),
            int(found["rows"] - found["transitions"]),
        )

    def add(self, function: OnBlocks, *parameters: Any, description: str = "sums") -> Arrays:
        """Return the sums of ``function(blocks, *parameters)`` over all shards."""
        return sum_over_shards(
            self.spark,
            len(self.data.shards),
            _OnShard(self.data, function),
            parameters,
            tasks=self.tasks,
            description=f"evaluate a policy: {description}",
        )


@dataclass(frozen=True)
class _OnShard:
    data: TransitionDataset
    function: OnBlocks

    def __call__(self, shard: int, *parameters: Any) -> Summands:
        blocks: Iterator[TransitionBlock] = self.data.blocks(shard, whole=True)
        return self.function(blocks, *parameters)


@dataclass(frozen=True)
class MemoryLog:
    """A log in memory: the same sums without Spark.

    Attributes
    ----------
    shards : sequence of sequence of TransitionBlock
        The blocks of each shard, of whole episodes.
    actions : tuple
    """

    shards: Sequence[Sequence[TransitionBlock]]
    actions: tuple[Any, ...]

    @property
    def facts(self) -> LogFacts:
        """Counts of the log."""
        block = TransitionBlock.concat([b for shard in self.shards for b in shard])
        starts = np.append(np.flatnonzero(block.first), len(block))
        return LogFacts(
            self.actions,
            tuple(np.bincount(block.action, minlength=len(self.actions)).tolist()),
            len(starts) - 1,
            len(block),
            int(np.diff(starts).max()),
            int((~block.terminated[starts[1:] - 1]).sum()),
            int((~block.usable).sum()),
        )

    def add(self, function: OnBlocks, *parameters: Any, description: str = "") -> Arrays:
        """Return the sums of ``function(blocks, *parameters)`` over all shards."""
        return sum_in_order(function(iter(blocks), *parameters) for blocks in self.shards)
