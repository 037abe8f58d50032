"""Closed sequential patterns: those without a longer pattern of the same count."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["closed_patterns"]

_ROWS = 20_000


def closed_patterns(patterns: DataFrame, *, every_subpattern: bool) -> DataFrame:
    """Return the patterns that are not part of a longer pattern with the same count.

    Parameters
    ----------
    patterns : pyspark.sql.DataFrame
        All frequent patterns: ``sequence``, ``count``, ``support``. It is read twice; persist it.
    every_subpattern : bool
        Whether to compare a pattern with all shorter ones. This is needed where a pattern may be
        less frequent than a longer one that contains it, as with a greatest gap. Otherwise patterns
        of one item less suffice.

    Returns
    -------
    pyspark.sql.DataFrame
    """
    kind = patterns.schema["sequence"].dataType.simpleString()
    longer = patterns.select("sequence", "count")
    shorter = longer.mapInArrow(
        _Subpatterns(every_subpattern), f"sequence {kind}, count bigint"
    ).distinct()
    return patterns.join(shorter, on=["sequence", "count"], how="left_anti").select(
        "sequence", "count", "support"
    )


@dataclass(frozen=True)
class _Subpatterns:
    every: bool

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            sequences: list[Any] = []
            counts: list[int] = []
            for pattern, count in zip(
                batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True
            ):
                whole = tuple(tuple(element) for element in pattern)
                found = _all_shorter(whole) if self.every else _one_item_less(whole)
                sequences.extend(found)
                counts.extend([count] * len(found))
                if len(sequences) >= _ROWS:
                    yield self._rows(sequences, counts, batch.schema)
                    sequences, counts = [], []
            if sequences:
                yield self._rows(sequences, counts, batch.schema)

    @staticmethod
    def _rows(sequences: list[Any], counts: list[int], schema: pa.Schema) -> pa.RecordBatch:
        return pa.RecordBatch.from_arrays(
            [pa.array(sequences, schema.field(0).type), pa.array(counts, pa.int64())],
            ["sequence", "count"],
        )


def _one_item_less(pattern: tuple[tuple[Any, ...], ...]) -> set[tuple[tuple[Any, ...], ...]]:
    found = set()
    for at, element in enumerate(pattern):
        for drop in range(len(element)):
            rest = element[:drop] + element[drop + 1 :]
            kept = (*pattern[:at], *([rest] if rest else []), *pattern[at + 1 :])
            if kept:
                found.add(kept)
    return found


def _all_shorter(pattern: tuple[tuple[Any, ...], ...]) -> set[tuple[tuple[Any, ...], ...]]:
    found: set[tuple[tuple[Any, ...], ...]] = set()
    front = {pattern}
    while front:
        front = {s for p in front for s in _one_item_less(p)} - found
        found |= front
    return found
