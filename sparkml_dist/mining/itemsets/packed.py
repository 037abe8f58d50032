"""Packed itemsets, many to a row, and their conversion to a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sparkml_dist.mining.itemsets.itemset_sink import FoundItemsets
from sparkml_dist.mining.itemsets.vocabulary import Vocabulary

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["PACKED", "note_row", "packed_row", "sizes_of", "unpacked_itemsets"]

#: Schema of packed itemsets; ``sizes[k]`` counts itemsets of k items, ``note`` is JSON of a task.
PACKED = "sizes array<bigint>, lengths binary, items binary, counts binary, note string"
_ROWS = 1 << 16


def packed_row(found: FoundItemsets) -> pa.RecordBatch:
    """Return itemsets as one row of the schema `PACKED`."""
    return _row(
        np.bincount(found.lengths).tolist() if len(found) else [],
        found.lengths.astype(np.int32).tobytes(),
        found.items.astype(np.int32).tobytes(),
        found.counts.astype(np.int64).tobytes(),
        None,
    )


def note_row(note: dict[str, Any]) -> pa.RecordBatch:
    """Return a task's note as one row of the schema `PACKED`."""
    return _row([], b"", b"", b"", json.dumps(note))


def _row(
    sizes: list[int], lengths: bytes, items: bytes, counts: bytes, note: str | None
) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(
        [
            pa.array([sizes], pa.list_(pa.int64())),
            pa.array([lengths], pa.binary()),
            pa.array([items], pa.binary()),
            pa.array([counts], pa.binary()),
            pa.array([note], pa.string()),
        ],
        ["sizes", "lengths", "items", "counts", "note"],
    )


def sizes_of(rows: Iterable[list[int]]) -> dict[int, int]:
    """Return the number of itemsets by number of items, from the ``sizes`` of packed rows."""
    sizes: dict[int, int] = {}
    for row in rows:
        for size, number in enumerate(row):
            if number:
                sizes[size] = sizes.get(size, 0) + number
    return dict(sorted(sizes.items()))


def unpacked_itemsets(
    packed: DataFrame, vocabulary: Vocabulary, item_type: str, baskets: int
) -> DataFrame:
    """Return packed itemsets as a table: ``items`` (sorted), ``count``, ``support``."""
    unpack = partial(_unpack, vocabulary.items, baskets)
    return packed.select("lengths", "items", "counts").mapInArrow(
        unpack, f"items array<{item_type}>, count bigint, support double"
    )


def _unpack(
    items: pa.Array, baskets: int, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for i in range(batch.num_rows):
            lengths, numbers, counts = (
                np.frombuffer(batch.column(name)[i].as_buffer(), dtype)
                for name, dtype in (("lengths", "<i4"), ("items", "<i4"), ("counts", "<i8"))
            )
            offsets = np.append(0, np.cumsum(lengths, dtype=np.int64))
            for low in range(0, len(lengths), _ROWS):
                high = min(low + _ROWS, len(lengths))
                own = offsets[low : high + 1]
                taken = items.take(pa.array(numbers[own[0] : own[-1]]))
                yield pa.RecordBatch.from_arrays(
                    [
                        pa.ListArray.from_arrays(pa.array((own - own[0]).astype(np.int32)), taken),
                        pa.array(counts[low:high]),
                        pa.array(counts[low:high] / baskets),
                    ],
                    ["items", "count", "support"],
                )
