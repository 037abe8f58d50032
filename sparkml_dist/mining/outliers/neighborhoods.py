"""The k nearest neighbours of points, where duplicates of a point count separately."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.mining.outliers.point_blocks import PointBlock, PointBlocks

__all__ = ["Neighborhoods", "neighborhoods"]

Points = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

#: Candidates beyond k of the first search; points at equal distances may need more.
_SPARE = 6
#: Coordinates that are held in memory at a time.
_TILE = 1 << 21
#: Factor on the k-distance that the last candidate must exceed, so that none is missed.
_BEYOND = 1 + 1e-9


@dataclass(frozen=True)
class Neighborhoods:
    """The neighbourhoods of m points, nearest first.

    Attributes
    ----------
    rows : ndarray of int64, shape (m, c)
        Numbers of distinct points; -1 where there are fewer than c.
    distances : ndarray of float64, shape (m, c)
        0 where there is no point.
    times : ndarray of int64, shape (m, c)
        Number of the k neighbours that are duplicates of that point; each row sums to k.
    """

    rows: Rows
    distances: Points
    times: Rows

    @property
    def reach(self) -> Points:
        """Distance of each point's k-th neighbour, shape (m,)."""
        return np.where(self.times > 0, self.distances, 0.0).max(axis=1, initial=0.0)

    def mean(self, values: Points) -> Points:
        """Return the mean over each point's k neighbours of values of shape (m, c)."""
        total: Points = np.where(self.times > 0, values * self.times, 0.0).sum(axis=1)
        return total / self.times.sum(axis=1)


def neighborhoods(
    queries: Points, blocks: PointBlocks, k: int, own: Rows | None = None
) -> Neighborhoods:
    """Return the neighbourhoods of points, exactly.

    Parameters
    ----------
    queries : ndarray of float64, shape (m, d)
    blocks : PointBlocks
        With at least k points, duplicates counted, other than a query itself.
    k : int
    own : ndarray of int64, shape (m,), optional
        Number of each query among the points. It is not its own neighbour, but its duplicates are.

    Returns
    -------
    Neighborhoods
        With k columns, or k + 1 where `own` is given. Points at the same distance are ordered by
        their hashes.

    Notes
    -----
    Blocks are searched from the nearest on, and only for those queries that could have neighbours
    there. Distances are computed by differences, so that duplicates are at zero.
    """
    width = k if own is None else k + 1
    m = len(queries)
    rows = np.full((m, width), -1, np.int64)
    distances, times = np.zeros((m, width)), np.zeros((m, width), np.int64)
    asked, most = np.arange(m), min(width + _SPARE, blocks.n)
    while len(asked):
        found, squared, counts = _candidates(queries[asked], blocks, most)
        if own is not None:
            counts -= found == own[asked][:, None]
        reached = np.minimum(np.cumsum(counts, axis=1), k)
        taken = np.diff(reached, axis=1, prepend=0)
        kth = np.where(taken > 0, squared, 0.0).max(axis=1)
        settled = (reached[:, -1] == k) & (kth * _BEYOND < squared[:, -1])
        if most >= blocks.n:
            settled[:] = True
        at, n = asked[settled], min(width, most)
        known = found[settled, :n] >= 0
        rows[at, :n] = found[settled, :n]
        distances[at, :n] = np.sqrt(np.where(known, squared[settled, :n], 0.0))
        times[at, :n] = taken[settled, :n]
        asked, most = asked[~settled], min(2 * most, blocks.n)
    return Neighborhoods(rows, distances, times)


def _candidates(queries: Points, blocks: PointBlocks, most: int) -> tuple[Rows, Points, Rows]:
    """Return the nearest distinct points: numbers, squared distances, counts; shape (m, most)."""
    shape = (len(queries), most)
    rows, squared = np.full(shape, -1, np.int64), np.full(shape, np.inf)
    counts, marks = np.zeros(shape, np.int64), np.zeros(shape, np.uint64)
    gaps = blocks.squared_gaps(queries)
    for b in np.argsort(gaps.mean(axis=0), kind="stable"):
        # A margin, so that rounding skips no block with a point exactly at the bound.
        ask = np.flatnonzero((gaps[:, b] <= squared[:, -1] * _BEYOND) & np.isfinite(gaps[:, b]))
        if not len(ask):
            continue
        block = blocks.block(int(b))
        local = block.nearest(queries[ask], most)
        far = _squared_distances(queries[ask], block, local)
        joined = [
            np.concatenate([old[ask], new], axis=1)
            for old, new in (
                (rows, local + blocks.offsets[b]),
                (squared, far),
                (counts, block.times[local]),
                (marks, block.marks[local]),
            )
        ]
        order = np.lexsort((joined[3], joined[1]), axis=1)[:, :most]
        for whole, part in zip((rows, squared, counts, marks), joined, strict=True):
            whole[ask] = np.take_along_axis(part, order, axis=1)
    return rows, squared, counts


def _squared_distances(queries: Points, block: PointBlock, local: Rows) -> Points:
    out = np.empty(local.shape)
    step = max(1, _TILE // (local.shape[1] * queries.shape[1]))
    for start in range(0, len(queries), step):
        piece = slice(start, start + step)
        difference = block.points[local[piece]] - queries[piece, None, :]
        out[piece] = (difference * difference).sum(axis=2)
    return out
