"""All counts and sketches of one column: updated by batches, merged, serialized."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.mining.profiling.column_plan import ColumnPlan
from sparkml_dist.mining.profiling.distinct_sketch import DistinctSketch
from sparkml_dist.mining.profiling.frequent_values import FrequentValues, as_texts, readable
from sparkml_dist.mining.profiling.moments import Moments
from sparkml_dist.mining.profiling.quantile_sketch import QuantileSketch

__all__ = ["ColumnSketch", "as_numbers"]

_SECONDS = 1e6


class ColumnSketch:
    """Counts and sketches of one column.

    Parameters
    ----------
    plan : ColumnPlan
    quantile_k, distinct_p, frequent_lg : int
        Sizes of the sketches.
    """

    def __init__(
        self, plan: ColumnPlan, quantile_k: int, distinct_p: int, frequent_lg: int
    ) -> None:
        self.plan = plan
        self.rows = self.missing = self.nan = self.infinite = 0
        self.moments = Moments()
        self.lengths = Moments()
        self.quantiles = QuantileSketch(quantile_k)
        self.distinct = DistinctSketch(distinct_p)
        self.frequent = FrequentValues(frequent_lg)

    def update(self, column: pa.Array) -> None:
        """Add a batch of the column."""
        self.rows += len(column)
        self.missing += column.null_count
        present = column.drop_null() if column.null_count else column
        if not len(present):
            return
        values = present
        if self.plan.is_measured:
            numbers = as_numbers(present)
            finite = np.isfinite(numbers)
            if not finite.all():
                self.nan += int(np.isnan(numbers).sum())
                self.infinite += int(np.isinf(numbers).sum())
                if pa.types.is_floating(present.type):
                    values = present.filter(pa.array(~np.isnan(numbers)))
                numbers = numbers[finite]
            self.moments = self.moments.merge(Moments.of(numbers))
            self.quantiles.update(numbers)
        if self.plan.is_counted and len(values):
            self._count(values)

    def _count(self, values: pa.Array) -> None:
        if pa.types.is_floating(values.type):
            values = pc.add(values, pa.scalar(0, values.type))  # -0.0 is 0.0
        found = pc.value_counts(values)
        unique, counts = found.field("values"), found.field("counts")
        counts = counts.to_numpy()
        self.distinct.update(_plain(unique))
        self.frequent.update(unique, counts)
        if self.plan.kind == "text":
            lengths = pc.utf8_length(readable(unique)).to_numpy(zero_copy_only=False).astype(float)
            self.lengths = self.lengths.merge(Moments.of(np.repeat(lengths, counts)))

    def merge(self, other: ColumnSketch) -> None:
        """Add another sketch of the same column."""
        self.rows += other.rows
        self.missing += other.missing
        self.nan += other.nan
        self.infinite += other.infinite
        self.moments = self.moments.merge(other.moments)
        self.lengths = self.lengths.merge(other.lengths)
        self.quantiles.merge(other.quantiles)
        self.distinct.merge(other.distinct)
        self.frequent.merge(other.frequent)

    def to_bytes(self) -> bytes:
        """Return the state."""
        # Empty sketches are left out: wide tables have many of them.
        parts = [
            sketch.to_bytes() if seen else b""
            for sketch, seen in (
                (self.quantiles, self.quantiles.n),
                (self.distinct, self.frequent.total),
                (self.frequent, self.frequent.total),
            )
        ]
        head = {
            "plan": asdict(self.plan),
            "counts": [self.rows, self.missing, self.nan, self.infinite],
            "moments": list(asdict(self.moments).values()),
            "lengths": list(asdict(self.lengths).values()),
            "sizes": [self.quantiles.k, self.distinct.p, self.frequent.lg],
            "parts": [len(part) for part in parts],
        }
        text = json.dumps(head).encode()
        return b"".join([len(text).to_bytes(4, "little"), text, *parts])

    @classmethod
    def from_bytes(cls, content: bytes) -> ColumnSketch:
        """Return the sketch that `to_bytes` wrote."""
        start = 4 + int.from_bytes(content[:4], "little")
        head: dict[str, Any] = json.loads(content[4:start])
        sketch = cls(ColumnPlan(**head["plan"]), *head["sizes"])
        sketch.rows, sketch.missing, sketch.nan, sketch.infinite = head["counts"]
        sketch.moments, sketch.lengths = Moments(*head["moments"]), Moments(*head["lengths"])
        parts = []
        for size in head["parts"]:
            parts.append(content[start : start + size] or None)
            start += size
        k, p, lg = head["sizes"]
        sketch.quantiles = QuantileSketch(k, parts[0])
        sketch.distinct = DistinctSketch(p, parts[1])
        sketch.frequent = FrequentValues(lg, parts[2])
        return sketch


def as_numbers(values: pa.Array) -> np.ndarray[Any, Any]:
    """Return values without nulls as float64: dates in days, times in seconds since 1970."""
    kind = values.type
    if pa.types.is_boolean(kind):
        return values.cast(pa.int8()).to_numpy().astype(np.float64)
    if pa.types.is_date32(kind):
        return values.cast(pa.int32()).to_numpy().astype(np.float64)
    if pa.types.is_timestamp(kind):
        return values.cast(pa.int64()).to_numpy() / _SECONDS
    return values.cast(pa.float64(), safe=False).to_numpy()


def _plain(values: pa.Array) -> list[Any]:
    """Return values without nulls as numbers or strings, whichever is faster."""
    kind = values.type
    if pa.types.is_floating(kind):
        return values.to_numpy().tolist()
    if pa.types.is_date32(kind):
        return values.cast(pa.int32()).to_pylist()
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        return values.cast(pa.int64()).to_numpy().tolist()
    return as_texts(values).to_pylist()
