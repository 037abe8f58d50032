"""Quantiles and ranks of numbers, from a few kilobytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from datasketches import kll_doubles_sketch

__all__ = ["QuantileSketch"]


class QuantileSketch:
    """The KLL sketch of Apache DataSketches, over arrays.

    Karnin, Lang, Liberty (2016), "Optimal quantile approximation in streams", arXiv 1603.05346.
    Which numbers it keeps is drawn anew in each process: two passes over more than `k` numbers
    differ within the error.

    Parameters
    ----------
    k : int
        Numbers in the highest level. Ranks are wrong by 0.27% of the count at 1024 and by 2.1%
        at 128, in 99 of 100 sketches; up to `k` numbers nothing is lost.
    """

    def __init__(self, k: int, content: bytes | None = None) -> None:
        self.k = k
        self._sketch = (
            kll_doubles_sketch(k) if content is None else kll_doubles_sketch.deserialize(content)
        )

    @property
    def n(self) -> int:
        """Numbers seen."""
        return int(self._sketch.n)

    def update(self, values: np.ndarray[Any, Any]) -> None:
        """Add finite float64 values of shape ``(n,)``."""
        if len(values):
            # It refuses arrays that cannot be written, which those of Arrow are.
            self._sketch.update(np.require(values, np.float64, ["C", "W"]))

    def merge(self, other: QuantileSketch) -> None:
        """Add what another sketch has seen."""
        if other.n:
            self._sketch.merge(other._sketch)

    def points(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return the distinct kept numbers in order and how many numbers are not above each."""
        if not self.n:
            return np.empty(0), np.empty(0)
        # Weights are not taken from the iterator: after a merge they do not add up to the count.
        values = np.unique([value for value, _ in self._sketch])
        below = np.array(self._sketch.get_cdf(values, True)[:-1])
        return values, np.rint(below * self.n)

    def to_bytes(self) -> bytes:
        """Return the state, which the second argument of the class takes."""
        return bytes(self._sketch.serialize())
