"""Many tasks: each gets the baskets of a group of classes and mines them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.errors import DataError
from sparkml_dist.mining.itemsets.basket_rows import BasketRows, run_positions
from sparkml_dist.mining.itemsets.encoding import chunks
from sparkml_dist.mining.itemsets.grouping import Grouping
from sparkml_dist.mining.itemsets.itemset_sink import TooManyItemsetsError
from sparkml_dist.mining.itemsets.mining_task import Mining
from sparkml_dist.mining.itemsets.packed import PACKED, note_row, packed_row

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["grouped_mining"]

_PARTS = "group int, lengths binary, codes binary, weights binary"
# Items that are copied to groups at a time.
_STEP = 1 << 22


def grouped_mining(
    encoded: DataFrame, mining: Mining, grouping: Grouping, *, cores: int, max_itemsets: int
) -> DataFrame:
    """Mine all classes, each group in a task of its own; lazily.

    A basket goes to the groups of its items: from the first such item on, in ascending frequency,
    or as a whole where the target needs it. Equal ones travel once.

    Parameters
    ----------
    encoded : pyspark.sql.DataFrame
    mining : Mining
    grouping : Grouping
    cores : int
        Cores that a task owns.
    max_itemsets : int
        Itemsets of a group at which the task fails.

    Returns
    -------
    pyspark.sql.DataFrame
        Packed itemsets, and a note ``{"group", "peak_rss"}`` of every task.
    """
    parts = encoded.mapInArrow(partial(_projected, mining, grouping), _PARTS)
    placed = parts.repartitionById(grouping.groups, "group")
    return placed.mapInArrow(partial(_mined, mining, grouping, cores, max_itemsets), PACKED)


def _projected(
    mining: Mining, grouping: Grouping, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for chunk in chunks(batches):
        rows = mining.vocabulary.ranked(chunk.dictionary, chunk.lengths, chunk.codes).merged()
        for low, high in _steps(rows, grouping.groups):
            part = rows.take(np.arange(low, high))
            for group, own in _by_group(part, grouping, whole=mining.needs_whole_baskets):
                own = own.merged()
                yield pa.RecordBatch.from_arrays(
                    [
                        pa.array([group], pa.int32()),
                        pa.array([own.lengths.astype(np.int32).tobytes()], pa.binary()),
                        pa.array([own.codes.tobytes()], pa.binary()),
                        pa.array([own.weights.tobytes()], pa.binary()),
                    ],
                    ["group", "lengths", "codes", "weights"],
                )


def _steps(rows: BasketRows, groups: int) -> Iterator[tuple[int, int]]:
    """Cut rows so that their copies for all groups stay small, but never into single ones."""
    lengths = rows.lengths
    copies = np.cumsum(lengths * np.minimum(lengths, groups))
    low = 0
    while low < len(rows):
        before = copies[low - 1] if low else 0
        high = int(np.searchsorted(copies, before + _STEP, side="right"))
        high = max(high, low + 1)
        yield low, high
        low = high


def _by_group(
    rows: BasketRows, grouping: Grouping, *, whole: bool
) -> Iterator[tuple[int, BasketRows]]:
    """Return what each group needs of the rows."""
    lengths = rows.lengths
    of_row = np.repeat(np.arange(len(rows)), lengths)
    group = grouping.owner[rows.codes]
    # The first entry of each pair (group, row): codes ascend within a row.
    keys = group.astype(np.int64) * len(rows) + of_row
    keys, first = np.unique(keys, return_index=True)
    row = keys % len(rows)
    of_group = keys // len(rows)
    starts = rows.offsets[:-1][row] if whole else first
    sizes = rows.offsets[1:][row] - starts
    bounds = np.searchsorted(of_group, np.arange(grouping.groups + 1))
    for number in range(grouping.groups):
        mine = slice(bounds[number], bounds[number + 1])
        if mine.start == mine.stop:
            continue
        codes = rows.codes[run_positions(starts[mine], sizes[mine])]
        yield number, BasketRows.from_lengths(sizes[mine], codes, rows.weights[row[mine]])


def _mined(
    mining: Mining,
    grouping: Grouping,
    cores: int,
    max_itemsets: int,
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    with PeakMemory() as memory, limit_threads(cores):
        parts, group = [], -1
        for batch in batches:
            for i in range(batch.num_rows):
                group = batch.column("group")[i].as_py()
                parts.append(_part(batch, i))
        if not parts:
            return
        rows = BasketRows.joined(parts)
        parts.clear()
        rows = rows.merged()
        firsts: npt.NDArray[np.int64] = np.flatnonzero(grouping.owner == group)
        try:
            for found in mining.run(rows, firsts, max_itemsets):
                yield packed_row(found)
        except TooManyItemsetsError:
            raise DataError(
                "too_many_itemsets",
                f"One of {grouping.groups} groups has more than {max_itemsets:,} itemsets.",
                "Raise minSupport, set maxLength, ask for target='closed' or 'maximal', or raise "
                "maxItemsets.",
            ) from None
        yield note_row({"group": group, "peak_rss": memory.so_far()})


def _part(batch: pa.RecordBatch, i: int) -> BasketRows:
    lengths, codes, weights = (
        np.frombuffer(batch.column(name)[i].as_buffer(), dtype)
        for name, dtype in (("lengths", "<i4"), ("codes", "<i4"), ("weights", "<i8"))
    )
    return BasketRows.from_lengths(lengths, codes, weights)
