"""Plans the rows of each rank in an epoch, their order, and the number of steps.

An epoch concatenates all row groups of all shards in a random order, with the rows of each in a
random order too, and splits this sequence into equal ranges, the *lanes*. A step takes the next
rows of every lane: a batch mixes rows of as many row groups as there are lanes, without a shuffle
buffer. Every row is seen exactly once in an epoch.

Lanes are not ranks: a rank serves several lanes. The rows of a step depend only on the lanes, so
that the batches do not depend on the number of ranks, and a run can resume with another number. The
rows of a lane in a step follow from arithmetic, so that an epoch can start at any step.
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

#: Multiples of it can be divided evenly by 1, 2, 3, 4, 6 and 12 ranks.
_LANES = 12
#: Least number of lanes per rank: a rank's batch mixes this many row groups.
_LANES_PER_RANK = 4


@dataclass(frozen=True)
class Piece:
    """Rows of one row group of one shard.

    Attributes
    ----------
    shard, row_group : int
        Positions of shard and row group.
    start, stop : int
        Range in the epoch's order of the row group's rows (`EpochPlan.order`).
    """

    shard: int
    row_group: int
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True)
class EpochPlan:
    """The plan of one epoch.

    Attributes
    ----------
    quotas : tuple of int
        Rows that a step takes from each lane; their sum is the global batch size.
    steps : int
        Steps of every rank: rows divided by the global batch size, rounded up.
    seed, epoch : int
        Seeds of the order of rows.
    """

    quotas: tuple[int, ...]
    steps: int
    seed: int
    epoch: int
    # Row groups in the epoch's order: shard, number in the shard and rows; the position of each in
    # the sequence of all rows; and the bounds of the lanes in it.
    _groups: npt.NDArray[np.int64] = field(repr=False, compare=False)
    _starts: npt.NDArray[np.int64] = field(repr=False, compare=False)
    _bounds: tuple[int, ...] = field(repr=False)
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
        return self._bounds[-1]

    @property
    def lane_rows(self) -> tuple[int, ...]:
        """Rows of each lane."""
        return tuple(b - a for a, b in pairwise(self._bounds))

    @property
    def largest_row_group(self) -> int:
        """Rows of the largest row group."""
        return int(self._groups[:, 2].max())

    def pieces(self, lane: int, skip: int = 0) -> Iterator[Piece]:
        """Yield the pieces that a lane reads, in order, after its first `skip` rows."""
        at, stop = self._bounds[lane] + skip, self._bounds[lane + 1]
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
        """Return the epoch's order of the rows of a row group, shape (rows,)."""
        return np.random.default_rng((self.seed, self.epoch, shard, row_group)).permutation(rows)


def plan_epoch(
    row_groups: Sequence[Sequence[int]], *, lanes: int, batch_size: int, seed: int, epoch: int
) -> EpochPlan:
    """Plan one epoch; the same arguments give the same plan on every rank.

    Parameters
    ----------
    row_groups : sequence of sequence of int
        Rows of each row group, for each shard.
    lanes : int
        Number of equal ranges.
    batch_size : int
        Rows of a step, over all ranks. If the number of lanes does not divide it, quotas differ by
        one row, and the lanes' ranges are in proportion.
    seed, epoch : int
        Seeds of the order of row groups and rows.

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
        # No lane has more than its share of the rows, rounded up: none needs a further step.
        steps=-(-total // batch_size),
        seed=seed,
        epoch=epoch,
        _groups=groups,
        _starts=ends - groups[:, 2],
        _bounds=tuple(total * b // batch_size for b in bounds),
        _sizes=row_groups,
    )


def default_lanes(ranks: int, batch_size: int) -> int:
    """Return a number of lanes that mixes rows well and allows other numbers of ranks later.

    Parameters
    ----------
    ranks : int
        Ranks of the first launch.
    batch_size : int
        Rows of a step, over all ranks.

    Returns
    -------
    int
        A multiple of `ranks` and of 12 with at least four lanes per rank, but at most the rows of a
        step.
    """
    even = math.lcm(ranks, _LANES)
    lanes = even * -(-_LANES_PER_RANK * ranks // even)
    if lanes > batch_size:
        lanes = max(ranks, batch_size // ranks * ranks)
    return lanes


def lanes_of(rank: int, ranks: int, lanes: int) -> range:
    """Return the lanes of a rank; the numbers of lanes of two ranks differ by at most one.

    Raises
    ------
    ConfigurationError
        ``invalid_param`` when there are fewer lanes than ranks.
    """
    if lanes < ranks:
        raise ConfigurationError(
            "invalid_param",
            f"There must be at least one lane for each of the {ranks} ranks. Got {lanes}.",
            "A run can resume with at most as many ranks as it has lanes.",
        )
    return range(rank * lanes // ranks, (rank + 1) * lanes // ranks)


def rank_batch(plan: EpochPlan, ranks: int) -> int:
    """Return the batch size of each rank, the same for all: the most rows that one of them takes.

    Ranks with fewer rows add rows of weight 0, so that a weighted mean over a rank's batch has the
    same divisor on all ranks.
    """
    shares = (lanes_of(rank, ranks, plan.lanes) for rank in range(ranks))
    return max(sum(plan.quotas[lane] for lane in share) for share in shares)
