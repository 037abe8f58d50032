"""Partitions points into blocks of about equally many nearby points, by median cuts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["MedianCut"]

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MedianCut:
    """A complete binary tree of cuts across the axes; its leaves are the blocks.

    Attributes
    ----------
    axes : ndarray of int64, shape (blocks,)
        Axis of each cut; node i has the children 2i and 2i + 1, the root is node 1.
    positions : ndarray of float64, shape (blocks,)
        Position of each cut; points at the position belong to the lower side.
    """

    axes: npt.NDArray[np.int64]
    positions: Points

    @classmethod
    def of(cls, sample: Points, blocks: int) -> MedianCut:
        """Split recursively along the widest axis, at the median of a sample.

        Parameters
        ----------
        sample : ndarray of float64, shape (m, d)
        blocks : int
            Least number of blocks, rounded up to a power of two.
        """
        depth = max(0, (blocks - 1).bit_length())
        axes = np.zeros(1 << depth, np.int64)
        positions = np.full(1 << depth, np.inf)
        # Duplicates of a point cannot be separated: they count once.
        parts = {1: np.unique(sample, axis=0)}
        for node in range(1, 1 << depth):
            part = parts.pop(node)
            lower = np.ones(len(part), bool)
            if len(part) > 1:
                axis = int(np.argmax(part.max(axis=0) - part.min(axis=0)))
                values = np.sort(part[:, axis])
                position = values[(len(values) - 1) // 2]
                if position == values[-1]:  # the upper half is one value
                    position = values[values < position].max(initial=-np.inf)
                axes[node], positions[node] = axis, position
                lower = part[:, axis] <= position
            parts[2 * node], parts[2 * node + 1] = part[lower], part[~lower]
        return cls(axes, positions)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return len(self.axes)

    def block_of(self, points: Points) -> npt.NDArray[np.int64]:
        """Return the block of each point, shape (n,)."""
        node = np.ones(len(points), np.int64)
        at = np.arange(len(points))
        for _ in range(self.blocks.bit_length() - 1):
            node = 2 * node + (points[at, self.axes[node]] > self.positions[node])
        return node - self.blocks

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as JSON values."""
        return {"axes": self.axes.tolist(), "positions": self.positions.tolist()}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> MedianCut:
        """Return the tree that `to_dict` described."""
        return cls(np.array(value["axes"], np.int64), np.array(value["positions"], np.float64))
