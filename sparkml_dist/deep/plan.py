"""Which rows each rank sees in an epoch, in what order, and in how many steps.

An epoch is a permutation of all row groups of all shards, laid end to end and cut into equal
ranges, the *lanes*. A step takes the same number of rows from every lane, so that all ranks do the
same number of steps; where a lane has run out, rows of weight 0 stand in. Every row is seen exactly
once in an epoch.

Lanes are not ranks: a rank may serve several. With a fixed number of lanes the batches of a run
are the same whatever the number of ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparkml_dist.errors import ConfigurationError

__all__ = ["EpochPlan", "Piece", "lanes_of", "plan_epoch"]


@dataclass(frozen=True)
class Piece:
    """Rows ``start`` to ``stop`` of one row group of one shard."""

    shard: int
    row_group: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class EpochPlan:
    """One epoch.

    Attributes
    ----------
    lanes : tuple of tuple of Piece
        What each lane reads, in order.
    lane_batch : int
        Rows that a step takes from each lane.
    steps : int
        Steps of every rank.
    seed : tuple of int
        Seeds the shuffling inside the lanes.
    """

    lanes: tuple[tuple[Piece, ...], ...]
    lane_batch: int
    steps: int
    seed: tuple[int, ...]

    @property
    def lane_rows(self) -> tuple[int, ...]:
        """Rows of each lane."""
        return tuple(sum(map(len, lane)) for lane in self.lanes)


def plan_epoch(
    row_groups: Sequence[Sequence[int]], *, lanes: int, lane_batch: int, seed: int, epoch: int
) -> EpochPlan:
    """Plan one epoch; the same arguments give the same plan on every rank.

    Parameters
    ----------
    row_groups : sequence of sequence of int
        For each shard the rows of each of its row groups.
    lanes : int
        Number of equal ranges.
    lane_batch : int
        Rows that a step takes from each lane.
    seed, epoch : int
        Choose the permutation.

    Returns
    -------
    EpochPlan
    """
    groups = [(s, g, n) for s, sizes in enumerate(row_groups) for g, n in enumerate(sizes) if n]
    order = np.random.default_rng((seed, epoch)).permutation(len(groups))
    total = sum(n for _, _, n in groups)
    cuts = [i * total // lanes for i in range(lanes + 1)]
    found: list[list[Piece]] = [[] for _ in range(lanes)]
    at, lane = 0, 0
    for index in order:
        shard, group, rows = groups[index]
        start = 0
        while start < rows:
            while at == cuts[lane + 1]:
                lane += 1
            stop = min(rows, start + cuts[lane + 1] - at)
            found[lane].append(Piece(shard, group, start, stop))
            at += stop - start
            start = stop
    longest = max(cuts[i + 1] - cuts[i] for i in range(lanes))
    return EpochPlan(
        lanes=tuple(map(tuple, found)),
        lane_batch=lane_batch,
        steps=-(-longest // lane_batch),
        seed=(seed, epoch),
    )


def lanes_of(rank: int, ranks: int, lanes: int) -> range:
    """Return the lanes that a rank serves.

    Raises
    ------
    ConfigurationError
        ``invalid_lanes`` unless the lanes can be shared out evenly.
    """
    if lanes < 1 or lanes % ranks:
        raise ConfigurationError(
            "invalid_lanes",
            f"The number of lanes must be a multiple of the {ranks} ranks. Got {lanes}.",
        )
    share = lanes // ranks
    return range(rank * share, (rank + 1) * share)
