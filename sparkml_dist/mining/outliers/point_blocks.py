"""Distinct points in files, one block per file, with files of values of each point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.persistence.arrays import read_array
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["PointBlock", "PointBlocks", "block_file"]

Points = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def block_file(name: str, block: int) -> str:
    """Return the name of a block's file."""
    return f"{name}-{block:05d}.npy"


class PointBlock:
    """The points of one block, ready to be searched.

    Parameters
    ----------
    points : ndarray of float64, shape (n, d)
        Distinct points.
    times : ndarray of int64, shape (n,)
        Number of duplicates of each point, itself included.

    Attributes
    ----------
    marks : ndarray of uint64, shape (n,)
        Hash of each point's coordinates: an order among points at the same distance that does not
        depend on the blocks.
    """

    def __init__(self, points: Points, times: Rows) -> None:
        from sklearn.neighbors import NearestNeighbors

        self.points, self.times = points, times
        self.marks = _marks(points)
        # Brute force computes with norms, which lose digits far from the origin.
        self._centre = points.mean(axis=0)
        self._search = NearestNeighbors().fit(points - self._centre)

    def nearest(self, queries: Points, k: int) -> Rows:
        """Return the numbers of the k nearest points of each query, shape (m, at most k)."""
        k = min(k, len(self.points))
        found: Rows = self._search.kneighbors(queries - self._centre, k, return_distance=False)
        return found


@dataclass
class PointBlocks:
    """Blocks of distinct points; sent to the tasks, which read the files.

    Attributes
    ----------
    folder : Folder
    offsets : ndarray of int64, shape (blocks + 1,)
        Number of each block's first point among all points.
    low, high : ndarray of float64, shape (blocks, d)
        Bounds of each block.
    keep : bool
        Whether blocks stay in memory once read.
    """

    folder: Folder
    offsets: Rows
    low: Points
    high: Points
    keep: bool = False
    _held: dict[str, Any] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_held": {}}

    @property
    def n(self) -> int:
        """Number of distinct points."""
        return int(self.offsets[-1])

    def size(self, block: int) -> int:
        """Return the number of points of a block."""
        return int(self.offsets[block + 1] - self.offsets[block])

    def array(self, name: str, block: int) -> npt.NDArray[Any]:
        """Return an array of a block, from its file."""
        file = block_file(name, block)
        found = self._cached(file, lambda: read_array(self.folder, file, rows=self.size(block)))
        return np.asarray(found)

    def block(self, block: int) -> PointBlock:
        """Return the points of a block; it must have some."""
        found: PointBlock = self._cached(
            str(block), lambda: PointBlock(self.array("points", block), self.array("times", block))
        )
        return found

    def _cached(self, key: str, read: Callable[[], Any]) -> Any:
        if not self.keep:
            return read()
        if key not in self._held:
            self._held[key] = read()
        return self._held[key]

    def squared_gaps(self, queries: Points) -> Points:
        """Return a lower bound of the squared distance of each query to each block's points.

        Parameters
        ----------
        queries : ndarray of float64, shape (m, d)

        Returns
        -------
        ndarray of float64, shape (m, blocks)
            Infinite for blocks without points.
        """
        out = np.full((len(queries), len(self.low)), np.inf)
        for block in np.flatnonzero(np.diff(self.offsets)):
            beyond = np.maximum(self.low[block] - queries, queries - self.high[block])
            out[:, block] = (np.maximum(beyond, 0.0) ** 2).sum(axis=1)
        return out

    def gathered(self, name: str, rows: Rows) -> Points:
        """Return the values of an array for points by number, shape as `rows`; 0 where it is -1."""
        out = np.zeros(rows.shape)
        blocks = np.searchsorted(self.offsets, rows, side="right") - 1
        for block in np.unique(blocks[rows >= 0]):
            at = blocks == block
            out[at] = self.array(name, int(block))[rows[at] - self.offsets[block]]
        return out


def _marks(points: Points) -> npt.NDArray[np.uint64]:
    """Return a hash of each row, by the finalizer of SplitMix64 (Steele, Lea, Flood 2014)."""
    bits = np.ascontiguousarray(points).view(np.uint64)
    x = np.zeros(len(points), np.uint64)
    with np.errstate(over="ignore"):
        for column in bits.T:
            x = (x ^ column) + _GOLDEN
            x = (x ^ (x >> np.uint64(30))) * _M1
            x = (x ^ (x >> np.uint64(27))) * _M2
            x ^= x >> np.uint64(31)
    return x
