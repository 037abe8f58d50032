"""The values that occur most often, with a bound on how far their counts are off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["FrequentValues"]


class FrequentValues:
    """A summary of Misra and Gries, merged as in Agarwal et al. (2013), "Mergeable summaries".

    Counts are never too high, and too low by at most `error`, which is at most
    ``n / (capacity + 1)``. Up to `capacity` distinct values it is exact.

    Parameters
    ----------
    capacity : int
        Values that are kept.

    Attributes
    ----------
    error : int
        What a count may lack; the count of a value that is not kept is at most this.
    """

    def __init__(
        self,
        capacity: int,
        values: pa.Array | None = None,
        counts: np.ndarray[Any, Any] | None = None,
        error: int = 0,
    ) -> None:
        self.capacity = capacity
        self.values = values
        self.counts = np.empty(0, np.int64) if counts is None else counts
        self.error = error

    def update(self, values: pa.Array, counts: np.ndarray[Any, Any]) -> None:
        """Add distinct values and how often each occurs."""
        if not len(values):
            return
        # Cut first: what cannot survive need not be joined.
        values, counts, lost = _cut(values, counts, self.capacity)
        self.error += lost
        if self.values is not None and len(self.values):
            both = pa.table(
                {
                    "value": pa.concat_arrays([self.values, values]),
                    "count": np.concatenate([self.counts, counts]),
                }
            )
            summed = both.group_by("value", use_threads=False).aggregate([("count", "sum")])
            values = summed.column("value").combine_chunks()
            counts = summed.column("count_sum").to_numpy()
            values, counts, lost = _cut(values, counts, self.capacity)
            self.error += lost
        self.values, self.counts = values, counts

    def merge(self, other: FrequentValues) -> None:
        """Add another summary of the same capacity."""
        self.error += other.error
        if other.values is not None:
            self.update(other.values, other.counts)

    def top(self, most: int) -> list[tuple[str, int]]:
        """Return up to `most` values as texts with their counts, the most frequent first."""
        if self.values is None:
            return []
        texts = as_texts(self.values).to_pylist()
        ranked = sorted(zip(texts, self.counts.tolist(), strict=True), key=lambda v: (-v[1], v[0]))
        return ranked[:most]


def as_texts(values: pa.Array) -> pa.Array:
    """Return values as strings; bytes in hexadecimal digits."""
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        return pa.array([v.hex() for v in values.to_pylist()], pa.string())
    return pc.cast(values, pa.string())


def _cut(
    values: pa.Array, counts: np.ndarray[Any, Any], capacity: int
) -> tuple[pa.Array, np.ndarray[Any, Any], int]:
    if len(counts) <= capacity:
        return values, counts, 0
    lost = int(np.partition(counts, len(counts) - capacity - 1)[len(counts) - capacity - 1])
    kept = np.flatnonzero(counts > lost)
    return values.take(pa.array(kept)), counts[kept] - lost, lost
