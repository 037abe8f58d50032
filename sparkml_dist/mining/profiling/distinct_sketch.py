"""How many distinct values there are, from a few kilobytes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["DistinctSketch"]


class DistinctSketch:
    """HyperLogLog registers with the improved raw estimator of Ertl (2017), arXiv 1702.01284.

    It needs no table of corrections at any count. The standard error is ``1.04 / sqrt(2**p)``.
    The state depends on the set of hashes only: not on order, repetition or cutting.

    Parameters
    ----------
    p : int
        Two to the power of this many registers of a byte.
    """

    def __init__(self, p: int, registers: np.ndarray[Any, Any] | None = None) -> None:
        self.p = p
        self.registers = np.zeros(1 << p, np.uint8) if registers is None else registers

    def update(self, hashes: np.ndarray[Any, Any]) -> None:
        """Add uint64 hashes of shape ``(n,)``."""
        if not len(hashes):
            return
        p, q = self.p, 64 - self.p
        index = (hashes >> np.uint64(q)).astype(np.intp)
        # The position of the highest bit is the exponent of the number.
        _, exponent = np.frexp((hashes << np.uint64(p)).astype(np.float64))
        rank = np.minimum(65 - exponent, q + 1).astype(np.uint8)
        rank[exponent == 0] = q + 1
        np.maximum.at(self.registers, index, rank)

    def merge(self, other: DistinctSketch) -> None:
        """Add what another sketch of the same `p` has seen."""
        np.maximum(self.registers, other.registers, out=self.registers)

    def estimate(self) -> float:
        """Return the estimated number of distinct values."""
        m, q = float(1 << self.p), 64 - self.p
        counts = np.bincount(self.registers, minlength=q + 2).astype(float)
        if counts[0] == m:
            return 0.0
        z = m * _tau(1 - counts[q + 1] / m)
        for k in range(q, 0, -1):
            z = 0.5 * (z + counts[k])
        z += m * _sigma(counts[0] / m)
        return m * m / (2 * math.log(2) * z)


def _sigma(x: float) -> float:
    if x == 1:
        return math.inf
    y, z, before = 1.0, x, -1.0
    while z != before:
        x *= x
        before = z
        z += x * y
        y += y
    return z


def _tau(x: float) -> float:
    if x in (0, 1):
        return 0.0
    y, z, before = 1.0, 1 - x, -1.0
    while z != before:
        x = math.sqrt(x)
        before = z
        y *= 0.5
        z -= (1 - x) ** 2 * y
    return z / 3
