"""Approximate quantiles and ranks of numbers, in a few kilobytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from datasketches import kll_doubles_sketch

__all__ = ["QuantileSketch"]


class QuantileSketch:
    """The KLL sketch of Apache DataSketches, updated by arrays.

    Karnin, Lang, Liberty (2016), "Optimal quantile approximation in streams", arXiv 1603.05346. The
    numbers that it keeps are random in each process: two passes over more than `k` numbers differ
    within the error.

    Parameters
    ----------
    k : int
        Numbers in the highest level. The error of ranks is within 0.27% of the count at 1024 and
        2.1% at 128, in 99 of 100 sketches; up to `k` numbers are exact.
    """

    def __init__(self, k: int, content: bytes | None = None) -> None:
        self.k = k
        self._sketch = (
            kll_doubles_sketch(k) if content is None else kll_doubles_sketch.deserialize(content)
        )

    @property
    def n(self) -> int:
        """Number of numbers added."""
        return int(self._sketch.n)

    def update(self, values: np.ndarray[Any, Any]) -> None:
        """Add finite float64 values of shape ``(n,)``."""
        if len(values):
            # It refuses read-only arrays, such as those of Arrow.
            self._sketch.update(np.require(values, np.float64, ["C", "W"]))

    def merge(self, other: QuantileSketch) -> None:
        """Add another sketch."""
        if other.n:
            self._sketch.merge(other._sketch)

    def points(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return the sketch's distinct numbers, ascending, and the counts of numbers up to each."""
        if not self.n:
            return np.empty(0), np.empty(0)
        # The iterator's weights are not used: after a merge they do not add up to the count.
        values = np.unique([value for value, _ in self._sketch])
        below = np.array(self._sketch.get_cdf(values, True)[:-1])
        return values, np.rint(below * self.n)

    def to_bytes(self) -> bytes:
        """Return the state, for the argument `content` of the class."""
        return bytes(self._sketch.serialize())
