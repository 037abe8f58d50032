"""Conversion of encoded sequences between Spark and arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.mining.sequences.event_database import EventDatabase
from sparkml_dist.mining.sequences.pattern_growth import Pattern

__all__ = ["ENCODED", "Encoder", "database", "pattern_arrays", "select_rows"]

#: Columns of encoded sequences: item codes, items of each event, time of each event.
ENCODED = "items array<int>, sizes array<int>, times array<double>"


@dataclass(frozen=True)
class Encoder:
    """Encodes the frequent items of sequences as integers; sent to the tasks.

    Attributes
    ----------
    items : pyarrow.Array
        The frequent items; an item's code is its position.
    """

    items: pa.Array

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield encoded sequences without infrequent items and without empty sequences.

        Columns: events (array of arrays), times (array of double; null for positions).
        """
        for batch in batches:
            events, times = batch.column(0), batch.column(1)
            per_sequence = _lengths(events)
            inner = events.flatten()
            per_event = _lengths(inner)
            codes = pc.index_in(inner.flatten(), value_set=self.items)
            held = np.asarray(codes.is_valid())
            event_of_item = np.repeat(np.arange(len(per_event)), per_event)[held]
            values = codes.drop_null().to_numpy().astype(np.int32)
            order = np.lexsort((values, event_of_item))
            values, event_of_item = values[order], event_of_item[order]
            sizes = np.bincount(event_of_item, minlength=len(per_event)).astype(np.int32)
            start = np.cumsum(per_sequence) - per_sequence
            sequence_of_event = np.repeat(np.arange(len(per_sequence)), per_sequence)
            if times.null_count == len(times):
                time = (np.arange(len(per_event)) - start[sequence_of_event]).astype(np.float64)
            else:
                time = times.flatten().to_numpy()
            full = sizes > 0
            kept = np.bincount(sequence_of_event[full], minlength=len(per_sequence))
            item_counts = np.bincount(sequence_of_event[event_of_item], minlength=len(per_sequence))
            rows = kept > 0
            arrays = [
                _lists(pa.array(values), item_counts[rows]),
                _lists(pa.array(sizes[full]), kept[rows]),
                _lists(pa.array(time[full]), kept[rows]),
            ]
            yield pa.RecordBatch.from_arrays(arrays, ["items", "sizes", "times"])


def database(batches: list[pa.RecordBatch]) -> EventDatabase:
    """Return the database of encoded sequences; the batches are freed one by one."""
    items, sizes, times, events = [], [], [], []
    while batches:
        batch = batches.pop(0)
        items.append(batch.column(0).flatten().to_numpy())
        sizes.append(batch.column(1).flatten().to_numpy())
        times.append(batch.column(2).flatten().to_numpy())
        events.append(_lengths(batch.column(1)))
    if not items:
        none = np.empty(0, np.int64)
        return EventDatabase.build(np.empty(0, np.int32), none, none, np.empty(0))
    return EventDatabase.build(
        np.concatenate(items),
        np.concatenate(sizes).astype(np.int64),
        np.concatenate(events),
        np.concatenate(times),
    )


def select_rows(
    batch: pa.RecordBatch, rows: npt.NDArray, part: npt.NDArray
) -> Iterator[pa.RecordBatch]:
    """Yield rows of encoded sequences with their parts, in small batches."""
    step = max(1, len(batch))
    for at in range(0, len(rows), step):
        piece = pa.array(rows[at : at + step])
        arrays = [column.take(piece) for column in batch.columns[:3]]
        parts = pa.array(part[at : at + step].astype(np.int32))
        yield pa.RecordBatch.from_arrays([*arrays, parts], ["items", "sizes", "times", "part"])


def pattern_arrays(patterns: list[Pattern], items: pa.Array) -> pa.Array:
    """Return patterns as an array of arrays of arrays of items."""
    codes = [code for pattern in patterns for element in pattern for code in element]
    elements = np.array([len(e) for pattern in patterns for e in pattern], dtype=np.int64)
    lengths = np.array([len(pattern) for pattern in patterns], dtype=np.int64)
    values = items.take(pa.array(codes, type=pa.int32()))
    return _lists(_lists(values, elements), lengths)


def _lengths(lists: pa.Array) -> npt.NDArray[np.int64]:
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    return lengths.to_numpy(zero_copy_only=False).astype(np.int64)


def _lists(values: pa.Array, lengths: npt.NDArray) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values)
