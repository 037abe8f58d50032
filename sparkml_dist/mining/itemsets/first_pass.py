"""The first job encodes and counts items, and mines small data at once.

A further job would take Spark longer to start than small data takes to mine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.mining.itemsets.encoding import ITEM, ranked_baskets, totals_type
from sparkml_dist.mining.itemsets.item_counts import ItemCounts, Threshold, added_totals
from sparkml_dist.mining.itemsets.itemset_sink import FoundItemsets
from sparkml_dist.mining.itemsets.mining_task import Mining
from sparkml_dist.mining.itemsets.packed import PACKED, note_row, packed_row, sizes_of
from sparkml_dist.mining.itemsets.vocabulary import Vocabulary

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["FirstPass", "first_pass"]

# Most distinct items that one task counts, of a chunk and of all chunks. Spark's shuffle counts
# more of them, so that one task need not receive much of large data.
_CHUNK_TOTALS, _TOTALS = 1 << 12, 1 << 16
# Most basket entries that one task mines, of a chunk and of all chunks.
_CHUNK_ENTRIES, _ENTRIES = 1 << 17, 1 << 21
# Chunks whose totals are added up at a time.
_ADDED_AT_ONCE = 16


@dataclass(frozen=True)
class FirstPass:
    """Results of the first job.

    Attributes
    ----------
    counted : ItemCounts or None
        The frequent items; None where there are too many distinct items for one task.
    sizes : dict of int to int, or None
        Number of itemsets by number of items; None where they were not mined.
    gave_up : bool
        Whether mining stopped because there are too many itemsets for one task.
    seconds : float
        Seconds of mining.
    peak_rss : int
        Peak memory of the task, bytes.
    """

    counted: ItemCounts | None
    sizes: dict[int, int] | None
    gave_up: bool
    seconds: float
    peak_rss: int

    @classmethod
    def read(cls, looked: DataFrame, threshold: Threshold) -> FirstPass:
        """Run the job that `first_pass` planned, and return its results."""
        table = looked.select("sizes", "note", "totals").toArrow()
        notes = [json.loads(note) for note in table.column("note").to_pylist() if note]
        if not notes:  # no partition has a basket
            nothing = pa.array(
                [], pa.struct([("item", "string"), ("kind", "int8"), ("count", "int64")])
            )
            return cls(ItemCounts.of(nothing, threshold), None, False, 0.0, 0)
        counted = [totals.values for totals in table.column("totals") if totals.is_valid]
        return cls(
            ItemCounts.of(counted[0], threshold) if counted else None,
            sizes_of(table.column("sizes").to_pylist()) if notes[0]["complete"] else None,
            notes[0]["gave_up"],
            notes[0]["seconds"],
            notes[0]["peak_rss"],
        )


@dataclass(frozen=True)
class _Request:
    """Arguments of the task; the limits are the driver's."""

    threshold: Threshold
    target: str
    max_length: int | None
    most_totals: int
    most_entries: int


def first_pass(
    encoded: DataFrame,
    item_type: str,
    threshold: Threshold,
    target: str,
    max_length: int | None,
    *,
    mine_small: bool,
) -> DataFrame:
    """Count the items of encoded baskets in one task, and mine small data there; lazily.

    Parameters
    ----------
    encoded : pyspark.sql.DataFrame
        From `encoded_baskets`.
    item_type : str
        Spark's name of the items' type.
    threshold : Threshold
    target, max_length
        As `Mining` takes them.
    mine_small : bool
        Whether small data is mined at once.

    Returns
    -------
    pyspark.sql.DataFrame
        Packed itemsets and the columns that `FirstPass.read` reads.
    """
    # Chunks that are too large for the one task are not sent to it.
    few = f"length(codes) <= {4 * _CHUNK_ENTRIES if mine_small else -1}"
    parts = encoded.selectExpr(
        f"if({few}, lengths, null) lengths",
        f"if({few}, codes, null) codes",
        f"if(size(totals) <= {_CHUNK_TOTALS}, totals, null) totals",
    )
    look = partial(_count_and_mine, _Request(threshold, target, max_length, _TOTALS, _ENTRIES))
    return parts.repartition(1).mapInArrow(look, f"{PACKED}, totals {totals_type(item_type)}")


class _Seen:
    """The totals of all chunks, and their baskets as long as they are few."""

    def __init__(self, most_totals: int, most_entries: int) -> None:
        self._most_totals, self._most_entries = most_totals, most_entries
        self._parts: list[pa.StructArray] = []
        self._entries = 0
        self.many_items = False
        self.chunks: list[pa.RecordBatch] | None = []

    def add(self, chunk: pa.RecordBatch) -> None:
        """Add a row of encoded baskets."""
        totals, codes = chunk.column("totals")[0], chunk.column("codes")[0]
        if not totals.is_valid or self.many_items:
            self.many_items = True
            return
        self._parts.append(totals.values)
        if len(self._parts) == _ADDED_AT_ONCE:
            self._parts = [self.totals()]
            self.many_items = len(self._parts[0]) > self._most_totals
        self._entries += len(codes.as_buffer()) // 4 if codes.is_valid else 0
        if not codes.is_valid or self._entries > self._most_entries:
            self.chunks = None
        if self.chunks is not None:
            self.chunks.append(chunk)

    def totals(self) -> pa.StructArray:
        """Return the totals, each item and kind once."""
        return added_totals(self._parts)


def _count_and_mine(
    request: _Request, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    with PeakMemory() as memory, limit_threads(1):
        seen, kind = _Seen(request.most_totals, request.most_entries), None
        for batch in batches:
            kind = batch.schema.field("totals").type
            for i in range(batch.num_rows):
                seen.add(batch.slice(i, 1))
        if kind is None:
            return
        nothing = totals = pa.nulls(1, kind)
        note = {"complete": False, "gave_up": False, "seconds": 0.0}
        if not seen.many_items:
            added = seen.totals()
            counted = ItemCounts.of(added, request.threshold)
            totals = _one_list(_frequent_totals(added, counted.min_count), kind)
            if seen.chunks is not None:
                start = time.perf_counter()
                found = _mined(seen.chunks, counted, request)
                note = {"complete": found is not None, "gave_up": found is None}
                for itemsets in found or []:
                    yield _with_totals(packed_row(itemsets), nothing)
                note["seconds"] = round(time.perf_counter() - start, 3)
        yield _with_totals(note_row({**note, "peak_rss": memory.so_far()}), totals)


def _mined(
    rows: list[pa.RecordBatch], counted: ItemCounts, request: _Request
) -> list[FoundItemsets] | None:
    vocabulary = Vocabulary.of(counted.items, counted.counts)
    mining = Mining(vocabulary, counted.min_count, request.target, request.max_length)
    return mining.mine_small(ranked_baskets(vocabulary, rows))


def _frequent_totals(added: pa.StructArray, min_count: int) -> pa.StructArray:
    """Return the totals without infrequent items."""
    kinds, counts = (added.field(name).to_numpy() for name in ("kind", "count"))
    return added.filter(pa.array((kinds != ITEM) | (counts >= min_count)))


def _one_list(values: pa.StructArray, kind: pa.ListType) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values).cast(kind)


def _with_totals(row: pa.RecordBatch, totals: pa.ListArray) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([*row.columns, totals], [*row.schema.names, "totals"])
