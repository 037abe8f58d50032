"""One bracket of successive halving: a rung is complete before the next one begins."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["Bracket"]


class Bracket:
    """The trials of a bracket, and which of them runs next.

    Parameters
    ----------
    sizes : sequence of int
        Largest number of trials at each of its rungs.
    lowest : int, default=0
        The rung at which its trials begin.
    """

    def __init__(self, sizes: Sequence[int], lowest: int = 0) -> None:
        self.sizes = tuple(sizes)
        self.lowest = lowest
        self.trials: set[int] = set()
        self._at = 0
        self._queue: list[int] = []
        self._to_start = self.sizes[0]
        self._losses: dict[int, float] = {}
        self._pending = 0

    def next(self, new: int) -> tuple[int, int] | None:
        """Return a trial and its rung, or None until a rung is complete, and in the end.

        Parameters
        ----------
        new : int
            The number that a new trial has.
        """
        if self._to_start:
            self._to_start -= 1
            self.trials.add(new)
            trial = new
        elif self._queue:
            trial = self._queue.pop(0)
        else:
            return None
        self._pending += 1
        return trial, self.lowest + self._at

    @property
    def idle(self) -> bool:
        """Whether it has nothing to start at present."""
        return not (self._to_start or self._queue)

    def report(self, trial: int, loss: float) -> None:
        """Record a loss, infinite for a failure; the last one of a rung opens the next."""
        self._losses[trial] = loss
        self._pending -= 1
        if self._pending or not self.idle or self._at + 1 == len(self.sizes):
            return
        able = [t for t in self._losses if math.isfinite(self._losses[t])]
        best = sorted(able, key=lambda t: (self._losses[t], t))
        self._at += 1
        self._queue = best[: self.sizes[self._at]]
        self._losses = {}
