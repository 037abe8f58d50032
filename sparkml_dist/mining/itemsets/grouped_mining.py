"""Mining in many tasks: each gets the baskets of a group of classes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.errors import DataError, ResourceError
from sparkml_dist.mining.itemsets.basket_rows import BasketRows, run_positions
from sparkml_dist.mining.itemsets.encoding import chunks
from sparkml_dist.mining.itemsets.grouping import Grouping, Split
from sparkml_dist.mining.itemsets.itemset_sink import FoundItemsets, TooManyItemsetsError
from sparkml_dist.mining.itemsets.mining_task import Mining
from sparkml_dist.mining.itemsets.packed import PACKED, note_row, packed_row

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["grouped_mining"]

_PARTS = "group int, lengths binary, codes binary, weights binary"
# Basket entries that are copied to groups at a time.
_STEP = 1 << 22


def grouped_mining(
    encoded: DataFrame, mining: Mining, grouping: Grouping, *, cores: int, max_itemsets: int
) -> DataFrame:
    """Mine all classes, one task per group; computed lazily.

    A basket goes to the groups of its items: its items from the group's first one on, in ascending
    frequency, or the whole basket where the target needs it. Equal ones are sent once.

    Parameters
    ----------
    encoded : pyspark.sql.DataFrame
    mining : Mining
    grouping : Grouping
    cores : int
        Cores that a task owns.
    max_itemsets : int
        Itemsets of a group above which the task raises.

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
    """Yield ranges of rows whose copies for all groups stay small, of one row at least."""
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
    """Return the part of the rows that each group needs."""
    yield from _cut(rows, grouping.owner[rows.codes], whole=whole)
    for split in grouping.splits:
        at = np.flatnonzero(rows.codes == split.code)
        row = np.searchsorted(rows.offsets, at, side="right") - 1
        weights = rows.weights[row]
        if len(at):  # one group counts the item itself
            alone = BasketRows.from_lengths(np.ones(len(at)), rows.codes[at], weights)
            yield split.first_group, alone
        if whole:
            yield from _whole_parts(rows.take(row), split)
            continue
        sizes = rows.offsets[1:][row] - at - 1
        more = sizes > 0
        codes = rows.codes[run_positions(at[more] + 1, sizes[more])]
        after = BasketRows.from_lengths(sizes[more], codes, weights[more])
        yield from _cut(after, split.first_group + codes % split.parts, whole=False)


def _whole_parts(rows: BasketRows, split: Split) -> Iterator[tuple[int, BasketRows]]:
    """Return the rows that the parts of a class need of the whole baskets with its item."""
    weights = np.repeat(rows.weights, rows.lengths)
    other = rows.codes != split.code
    counts = np.bincount(rows.codes[other], weights[other]).astype(np.int64)
    beside = np.flatnonzero(counts)
    # The first part gets the pairs of the item and another one, with their counts.
    pairs = np.sort(np.stack([beside, np.full(len(beside), split.code)], axis=1), axis=1)
    if len(pairs):
        codes = pairs.ravel().astype(rows.codes.dtype)
        lengths = np.full(len(pairs), 2)
        yield split.first_group, BasketRows.from_lengths(lengths, codes, counts[beside])
    rest = rows.restricted(other)
    part = split.first_group + rest.codes % split.parts
    yield from _cut(rest, np.where(rest.codes > split.code, part, -1), whole=True)


def _cut(rows: BasketRows, group: npt.NDArray, *, whole: bool) -> Iterator[tuple[int, BasketRows]]:
    """Return the rows of each group, given the group of each entry (-1 for none)."""
    lengths = rows.lengths
    owned = np.flatnonzero(group >= 0)
    # The first entry of each pair (group, row): codes ascend within a row.
    of_row = np.repeat(np.arange(len(rows)), lengths)[owned]
    keys, first = np.unique(group[owned].astype(np.int64) * len(rows) + of_row, return_index=True)
    row, of_group = keys % max(1, len(rows)), keys // max(1, len(rows))
    starts = rows.offsets[:-1][row] if whole else owned[first]
    sizes = rows.offsets[1:][row] - starts
    found = np.unique(of_group)
    bounds = np.searchsorted(of_group, np.append(found, np.iinfo(np.int64).max))
    for number, low, high in zip(found, bounds, bounds[1:], strict=False):
        codes = rows.codes[run_positions(starts[low:high], sizes[low:high])]
        yield (
            int(number),
            BasketRows.from_lengths(sizes[low:high], codes, rows.weights[row[low:high]]),
        )


def _mined(
    mining: Mining,
    grouping: Grouping,
    cores: int,
    max_itemsets: int,
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    with PeakMemory() as memory, limit_threads(cores):
        parts, group, entries = [], -1, 0
        for batch in batches:
            for i in range(batch.num_rows):
                group = batch.column("group")[i].as_py()
                parts.append(_part(batch, i))
                entries += len(parts[-1].codes)
                if grouping.most_entries and entries > 2 * grouping.most_entries:
                    parts = [BasketRows.joined(parts).merged()]
                    entries = len(parts[0].codes)
                    if entries > grouping.most_entries:
                        raise _too_large(mining, grouping, group)
        if not parts:
            return
        rows = BasketRows.joined(parts)
        parts.clear()
        rows = rows.merged()
        try:
            for found in _run(mining, grouping, group, rows, max_itemsets):
                yield packed_row(found)
        except TooManyItemsetsError:
            raise DataError(
                "too_many_itemsets",
                f"One of {grouping.groups} groups has more than {max_itemsets:,} itemsets.",
                "Raise minSupport, set maxLength, ask for target='closed' or 'maximal', or raise "
                "maxItemsets.",
            ) from None
        yield note_row({"group": group, "peak_rss": memory.so_far()})


def _too_large(mining: Mining, grouping: Grouping, group: int) -> ResourceError:
    """Return the error of a group that does not fit a task's memory."""
    classes = [s.code for s in grouping.splits if 0 <= group - s.first_group < s.parts]
    classes = classes or np.flatnonzero(grouping.owner == group)[-1:].tolist()  # the largest
    known = mining.vocabulary
    item = known.items[int(known.numbers[classes[0]])].as_py()
    return ResourceError(
        "group_too_large",
        f"The baskets that hold {item!r} and another item have more than "
        f"{grouping.most_entries:,} items, too many for memoryPerTask, and {mining.target} "
        "itemsets need whole baskets.",
        "Raise memoryPerTask, set numPartitions to mine all the same, or ask for "
        "target='frequent', whose groups can be made as small as needed.",
    )


def _run(
    mining: Mining, grouping: Grouping, group: int, rows: BasketRows, max_itemsets: int
) -> Iterator[FoundItemsets]:
    for split in grouping.splits:
        part = group - split.first_group
        if 0 <= part < split.parts:
            return mining.run_part(rows, split.code, part, split.parts, max_itemsets)
    return mining.run(rows, np.flatnonzero(grouping.owner == group), max_itemsets)


def _part(batch: pa.RecordBatch, i: int) -> BasketRows:
    lengths, codes, weights = (
        np.frombuffer(batch.column(name)[i].as_buffer(), dtype)
        for name, dtype in (("lengths", "<i4"), ("codes", "<i4"), ("weights", "<i8"))
    )
    return BasketRows.from_lengths(lengths, codes, weights)
