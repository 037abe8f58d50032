"""Partitions space into boxes with about equally many points, and routes points to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["SpacePartition", "partition_space"]

Points = npt.NDArray[np.float64]
# A split that copies more than this share of the points to the other side is not made.
_MOST_HALO = 0.3


@dataclass(frozen=True)
class SpacePartition:
    """A tree of splits across the axes; its leaves are the parts.

    Attributes
    ----------
    nodes : tuple of (int, float, int, int)
        Axis, position, and the nodes of the lower and the upper side; points at the position belong
        to the lower side. A negative node ``-1 - p`` is the part p.
    root : int
    low, high : ndarray of float64, shape (parts, d)
        Bounds of each part; infinite at the border of space.
    """

    nodes: tuple[tuple[int, float, int, int], ...]
    root: int
    low: Points
    high: Points

    @property
    def parts(self) -> int:
        """Number of parts."""
        return len(self.low)

    def home(self, points: Points) -> npt.NDArray[np.int32]:
        """Return the part of each point, shape (n,)."""
        found = np.empty(len(points), np.int32)
        for part, own, _ in self.placed(points, 0.0):
            found[own] = part
        return found

    def placed(
        self, points: Points, reach: float
    ) -> Iterator[tuple[int, npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
        """Yield each part with the positions of its own points and of others within `reach`."""
        stack = [(self.root, np.arange(len(points)), np.ones(len(points), bool))]
        while stack:
            node, at, own = stack.pop()
            if not len(at):
                continue
            if node < 0:
                yield -1 - node, at[own], at[~own]
                continue
            axis, position, lower, upper = self.nodes[node]
            x = points[at, axis]
            below = x <= position
            near = x <= position + reach
            stack.append((lower, at[near], (own & below)[near]))
            near = ~below | (x >= position - reach)
            stack.append((upper, at[near], (own & ~below)[near]))

    def near_faces(self, points: Points, part: int, reach: float) -> npt.NDArray[np.bool_]:
        """Return which points of a part lie within `reach` of another part."""
        low, high = self.low[part] + reach, self.high[part] - reach
        near: npt.NDArray[np.bool_] = ((points <= low) | (points >= high)).any(axis=1)
        return near

    def within(self, points: Points, part: int, reach: float) -> npt.NDArray[np.bool_]:
        """Return which points lie in a part, or within `reach` of its bounds on every axis."""
        low, high = self.low[part] - reach, self.high[part] + reach
        found: npt.NDArray[np.bool_] = ((points >= low) & (points <= high)).all(axis=1)
        return found

    def neighbours(self, part: int, reach: float) -> list[int]:
        """Return the parts within `reach` of a part on every axis."""
        touching = (self.low <= self.high[part] + reach) & (self.high >= self.low[part] - reach)
        return [int(p) for p in np.flatnonzero(touching.all(axis=1)) if p != part]

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as JSON values; the bounds follow from the splits."""
        return {"nodes": [list(n) for n in self.nodes], "root": self.root, "d": self.low.shape[1]}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> SpacePartition:
        """Return the partition that `to_dict` described."""
        nodes = tuple((int(a), float(x), int(lo), int(hi)) for a, x, lo, hi in value["nodes"])
        parts = len(nodes) + 1
        low, high = np.full((parts, value["d"]), -np.inf), np.full((parts, value["d"]), np.inf)
        stack = [(value["root"], low[0].copy(), high[0].copy())]
        while stack:
            node, a, b = stack.pop()
            if node < 0:
                low[-1 - node], high[-1 - node] = a, b
                continue
            axis, position, lower, upper = nodes[node]
            b_lower, a_upper = b.copy(), a.copy()
            b_lower[axis] = a_upper[axis] = position
            stack += [(lower, a, b_lower), (upper, a_upper, b)]
        return cls(nodes, value["root"], low, high)


def partition_space(sample: Points, eps: float, parts: int) -> SpacePartition:
    """Partition space into up to `parts` boxes with about equally many rows of a sample.

    Each split crosses the axis on which it copies the fewest points to the other side. Boxes stay
    wider than `eps`; there are fewer of them where splits would copy most of the points.

    Parameters
    ----------
    sample : ndarray of float64, shape (m, d)
    eps : float
        Distance from a split within which points go to both sides.
    parts : int
    """
    nodes: list[tuple[int, float, int, int]] = []
    leaves = 0

    def cut(rows: Points, wanted: int) -> int:
        nonlocal leaves
        best: tuple[float, int, float] | None = None
        if wanted > 1 and len(rows) >= 2 * wanted:
            for axis in range(rows.shape[1]):
                x = np.sort(rows[:, axis])
                position = float(x[(len(x) * (wanted // 2)) // wanted - 1])
                if position - x[0] < eps or x[-1] - position <= eps:
                    continue
                inside = np.searchsorted(x, [position - eps, position + eps])
                halo = float(inside[1] - inside[0]) / len(x)
                if best is None or halo < best[0]:
                    best = (halo, axis, position)
        if best is None or best[0] > _MOST_HALO:
            leaves += 1
            return -leaves
        _, axis, position = best
        at = len(nodes)
        nodes.append((axis, position, 0, 0))
        below = rows[:, axis] <= position
        lower = cut(rows[below], wanted // 2)
        upper = cut(rows[~below], wanted - wanted // 2)
        nodes[at] = (axis, position, lower, upper)
        return at

    root = cut(sample, parts)
    return SpacePartition.from_dict({"nodes": nodes, "root": root, "d": sample.shape[1]})
