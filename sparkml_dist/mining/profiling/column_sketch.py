"""Everything that is gathered of one column: taken from batches, merged, sent as bytes."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.mining.profiling.column_plan import ColumnPlan
from sparkml_dist.mining.profiling.distinct_sketch import DistinctSketch
from sparkml_dist.mining.profiling.frequent_values import FrequentValues, as_texts
from sparkml_dist.mining.profiling.moments import Moments
from sparkml_dist.mining.profiling.quantile_sketch import QuantileSketch

__all__ = ["ColumnSketch", "as_numbers"]

_SECONDS = 1e6


class ColumnSketch:
    """Counts and sketches of one column.

    Parameters
    ----------
    plan : ColumnPlan
    quantile_k, distinct_p, frequent : int
        Sizes of the sketches.
    """

    def __init__(self, plan: ColumnPlan, quantile_k: int, distinct_p: int, frequent: int) -> None:
        self.plan = plan
        self.rows = self.missing = self.nan = self.infinite = 0
        self.moments = Moments()
        self.lengths = Moments()
        self.quantiles = QuantileSketch(quantile_k)
        self.distinct = DistinctSketch(distinct_p)
        self.frequent = FrequentValues(frequent)

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
        unique, counts = found.field("values"), found.field("counts").to_numpy()
        self.distinct.update(_hashes(unique))
        self.frequent.update(unique, counts)
        if self.plan.kind == "text":
            lengths = pc.utf8_length(unique).to_numpy(zero_copy_only=False)
            self.lengths = self.lengths.merge(Moments.of(np.repeat(lengths, counts).astype(float)))

    def merge(self, other: ColumnSketch) -> None:
        """Add what another sketch of the column has seen."""
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
        """Return the state; frequent values become texts."""
        quantiles = self.quantiles.to_bytes()
        values = self.frequent.values
        texts = [] if values is None else as_texts(values).to_pylist()
        head = {
            "plan": asdict(self.plan),
            "counts": [self.rows, self.missing, self.nan, self.infinite],
            "moments": list(asdict(self.moments).values()),
            "lengths": list(asdict(self.lengths).values()),
            "quantiles": len(quantiles),
            "sizes": [self.quantiles.k, self.distinct.p, self.frequent.capacity],
            "frequent": [texts, self.frequent.counts.tolist(), self.frequent.error],
        }
        text = json.dumps(head).encode()
        out = io.BytesIO()
        out.write(len(text).to_bytes(4, "little") + text)
        out.write(quantiles)
        if self.distinct.registers.any():
            out.write(self.distinct.registers.tobytes())
        return out.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> ColumnSketch:
        """Return the sketch of `to_bytes`."""
        start = 4 + int.from_bytes(content[:4], "little")
        head: dict[str, Any] = json.loads(content[4:start])
        sketch = cls(ColumnPlan(**head["plan"]), *head["sizes"])
        sketch.rows, sketch.missing, sketch.nan, sketch.infinite = head["counts"]
        sketch.moments, sketch.lengths = Moments(*head["moments"]), Moments(*head["lengths"])
        end = start + head["quantiles"]
        sketch.quantiles = QuantileSketch(sketch.quantiles.k, content[start:end])
        start = end
        if start < len(content):
            registers = np.frombuffer(content, np.uint8, 1 << sketch.distinct.p, start)
            sketch.distinct.registers = registers.copy()
        texts, counts, error = head["frequent"]
        if texts:
            frequent = sketch.frequent
            frequent.values = pa.array(texts, pa.string())
            frequent.counts = np.array(counts, np.int64)
        sketch.frequent.error = error
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


def _hashes(values: pa.Array) -> np.ndarray[Any, Any]:
    """Return 64-bit hashes of values without nulls, the same on any machine."""
    import pandas as pd

    kind = values.type
    if pa.types.is_floating(kind):
        words = values.cast(pa.float64()).to_numpy()
    elif pa.types.is_boolean(kind):
        words = values.cast(pa.int64()).to_numpy()
    elif pa.types.is_date32(kind):
        words = values.cast(pa.int32()).to_numpy().astype(np.int64)
    elif pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        words = values.cast(pa.int64()).to_numpy()
    else:
        texts = as_texts(values).to_numpy(zero_copy_only=False)
        return pd.util.hash_array(texts, categorize=False)
    return _mixed(words.view(np.uint64))


def _mixed(words: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return words with every bit spread over all (the finalizer of SplitMix64)."""
    x = words + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
