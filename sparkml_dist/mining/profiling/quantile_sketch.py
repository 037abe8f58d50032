"""Quantiles and ranks of numbers, from a few kilobytes."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["QuantileSketch"]


class QuantileSketch:
    """Levels of numbers, each standing for twice as many as the level below, after KLL.

    Karnin, Lang, Liberty (2016), "Optimal quantile approximation in streams", arXiv 1603.05346.
    A full level is sorted and every other number moves up; which, is drawn from a generator with
    a fixed seed, so that the same numbers in the same order make the same sketch. A batch of any
    size is compacted at once, which costs no more error than a compaction of two numbers. All
    levels have one capacity: some memory more than KLL's shrinking ones, and less error.

    Parameters
    ----------
    k : int
        Capacity of a level. Ranks are wrong by about ``1 / k`` of the count, and seldom by
        more than ``3 / k``; up to `k` numbers nothing is lost.
    """

    def __init__(self, k: int, levels: list[np.ndarray[Any, Any]] | None = None) -> None:
        self.k = k
        self.levels = levels if levels is not None else []
        self._random = np.random.default_rng(k)

    @property
    def n(self) -> int:
        """Numbers seen."""
        return sum(len(level) << h for h, level in enumerate(self.levels))

    def update(self, values: np.ndarray[Any, Any]) -> None:
        """Add finite float64 values of shape ``(n,)``."""
        if len(values):
            self._add(0, values)
            self._compact()

    def merge(self, other: QuantileSketch) -> None:
        """Add what another sketch has seen."""
        for h, level in enumerate(other.levels):
            self._add(h, level)
        self._compact()

    def points(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return the distinct kept numbers in order and how many numbers are not above each."""
        if not self.levels:
            return np.empty(0), np.empty(0)
        values = np.concatenate(self.levels)
        weights = np.repeat(
            [1 << h for h in range(len(self.levels))], [len(level) for level in self.levels]
        )
        order = np.argsort(values, kind="stable")
        values, below = values[order], np.cumsum(weights[order]).astype(float)
        last = np.append(values[1:] != values[:-1], True)
        return values[last], below[last]

    def _add(self, h: int, values: np.ndarray[Any, Any]) -> None:
        while len(self.levels) <= h:
            self.levels.append(np.empty(0))
        self.levels[h] = np.concatenate([self.levels[h], values])

    def _compact(self) -> None:
        h = 0
        while h < len(self.levels):
            level = self.levels[h]
            if len(level) > self.k:
                level = np.sort(level)
                # One is left behind where the number is odd: weights stay exact.
                stay, go = level[: len(level) % 2], level[len(level) % 2 :]
                self.levels[h] = stay.copy()
                self._add(h + 1, go[int(self._random.integers(2)) :: 2])
            h += 1
