"""Which rows each rank sees in an epoch, in what order, and in how many steps.

An epoch lays all row groups of all shards end to end in a random order, the rows of each in a
random order too, and cuts the line into equal ranges, the *lanes*. A step takes the next rows of
every lane: a batch mixes rows of as many row groups as there are lanes, and no buffer of rows is
needed to shuffle. Every row is seen exactly once in an epoch.

Lanes are not ranks: a rank serves several. The rows of a step depend on the lanes alone, so that a
run takes the same batches at any number of ranks, and can go on at another one. What a lane takes
in a step follows from counting, so that an epoch can begin at any step.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError, DataError

__all__ = ["EpochPlan", "Piece", "default_lanes", "lanes_of", "plan_epoch", "rank_batch"]

#: A multiple of it is shared out evenly by 1, 2, 3, 4, 6 and 12 ranks.
_LANES = 12
#: The fewest lanes of a rank: so many row groups are mixed in its own batches.
_LANES_PER_RANK = 4


@dataclass(frozen=True)
class Piece:
    """Rows of one row group of one shard.

    Attributes
    ----------
    shard, row_group : int
        Which.
    start, stop : int
        From where to where, in the order that the epoch gives the row group's rows
        (`EpochPlan.order`).
    """

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
    quotas : tuple of int
        Rows that a step takes from each lane; together the global batch.
    steps : int
        Steps of every rank: the rows by the global batch, rounded up.
    seed, epoch : int
        What the order of the rows was drawn from.
    """

    quotas: tuple[int, ...]
    steps: int
    seed: int
    epoch: int
    # Row groups in the epoch's order: shard, number in the shard and rows; where each begins on
    # the line of all rows; and where the line is cut into lanes.
    _groups: npt.NDArray[np.int64] = field(repr=False, compare=False)
    _starts: npt.NDArray[np.int64] = field(repr=False, compare=False)
    _cuts: tuple[int, ...] = field(repr=False)
    _sizes: Sequence[Sequence[int]] = field(repr=False, compare=False)

    @property
    def lanes(self) -> int:
        """Number of lanes."""
        return len(self.quotas)

    @property
    def batch_size(self) -> int:
        """Rows of a step over all lanes."""
        return sum(self.quotas)

    @property
    def rows(self) -> int:
        """Rows of the epoch."""
        return self._cuts[-1]

    @property
    def lane_rows(self) -> tuple[int, ...]:
        """Rows of each lane."""
        return tuple(b - a for a, b in pairwise(self._cuts))

    @property
    def largest_row_group(self) -> int:
        """Rows of the largest row group."""
        return int(self._groups[:, 2].max())

    def pieces(self, lane: int, skip: int = 0) -> Iterator[Piece]:
        """Yield what a lane reads, in order, after its first `skip` rows."""
        at, stop = self._cuts[lane] + skip, self._cuts[lane + 1]
        index = int(np.searchsorted(self._starts, at, side="right")) - 1
        while at < stop:
            shard, group, rows = map(int, self._groups[index])
            first = int(self._starts[index])
            end = min(first + rows, stop)
            yield Piece(shard, group, at - first, end - first)
            at = end
            index += 1

    def row_groups(self) -> Iterator[tuple[int, int, int]]:
        """Yield shard, row group and its rows, in the order of the epoch."""
        shards, groups, rows = self._groups.T.tolist()
        yield from zip(shards, groups, rows, strict=True)

    def rows_of(self, shard: int, row_group: int) -> int:
        """Return the rows of a row group."""
        return self._sizes[shard][row_group]

    def order(self, shard: int, row_group: int, rows: int) -> npt.NDArray[np.int64]:
        """Return the order that the epoch gives the rows of a row group, shape (rows,)."""
        return np.random.default_rng((self.seed, self.epoch, shard, row_group)).permutation(rows)


def plan_epoch(
    row_groups: Sequence[Sequence[int]], *, lanes: int, batch_size: int, seed: int, epoch: int
) -> EpochPlan:
    """Plan one epoch; the same arguments give the same plan on every rank.

    Parameters
    ----------
    row_groups : sequence of sequence of int
        For each shard the rows of each of its row groups.
    lanes : int
        Number of equal ranges.
    batch_size : int
        Rows of a step, over all ranks. Lanes whose number does not divide it take turns by one
        row, and their ranges are cut in proportion.
    seed, epoch : int
        Choose the order of row groups and rows.

    Returns
    -------
    EpochPlan

    Raises
    ------
    DataError
        ``no_training_rows``.
    """
    if not any(map(any, row_groups)):
        raise DataError("no_training_rows", "There is no row to train on.")
    sizes = [np.asarray(rows, np.int64) for rows in row_groups]
    groups = np.concatenate(
        [np.stack([np.full(len(n), s), np.arange(len(n)), n], axis=1) for s, n in enumerate(sizes)]
    )
    groups = groups[groups[:, 2] > 0]
    groups = groups[np.random.default_rng((seed, epoch)).permutation(len(groups))]
    ends = np.cumsum(groups[:, 2])
    total = int(ends[-1])
    bounds = [i * batch_size // lanes for i in range(lanes + 1)]
    return EpochPlan(
        quotas=tuple(b - a for a, b in pairwise(bounds)),
        # No lane is longer than its share of the rows, rounded up: none needs one step more.
        steps=-(-total // batch_size),
        seed=seed,
        epoch=epoch,
        _groups=groups,
        _starts=ends - groups[:, 2],
        _cuts=tuple(total * b // batch_size for b in bounds),
        _sizes=row_groups,
    )


def default_lanes(ranks: int, batch_size: int) -> int:
    """Return a number of lanes that mixes well and lets a run go on at other numbers of ranks.

    Parameters
    ----------
    ranks : int
        Ranks of the first launch.
    batch_size : int
        Rows of a step, over all ranks.

    Returns
    -------
    int
        A multiple of `ranks` and of 12 with at least four lanes for each rank; no more than there
        are rows in a step.
    """
    even = math.lcm(ranks, _LANES)
    lanes = even * -(-_LANES_PER_RANK * ranks // even)
    if lanes > batch_size:
        lanes = max(ranks, batch_size // ranks * ranks)
    return lanes


def lanes_of(rank: int, ranks: int, lanes: int) -> range:
    """Return the lanes that a rank serves: as many as the other ranks, or one more or fewer.

    Raises
    ------
    ConfigurationError
        ``invalid_param`` when there are fewer lanes than ranks.
    """
    if lanes < ranks:
        raise ConfigurationError(
            "invalid_param",
            f"There must be at least a lane for each of the {ranks} ranks. Got {lanes}.",
            "A run that was begun with fewer lanes can go on with at most so many ranks.",
        )
    return range(rank * lanes // ranks, (rank + 1) * lanes // ranks)


def rank_batch(plan: EpochPlan, ranks: int) -> int:
    """Return the rows of a batch of each rank, the same for all: the most that one of them takes.

    Ranks that serve fewer rows fill up with rows of weight 0, so that a weighted mean over a
    rank's batch has the same divisor everywhere.
    """
    shares = (lanes_of(rank, ranks, plan.lanes) for rank in range(ranks))
    return max(sum(plan.quotas[lane] for lane in share) for share in shares)
