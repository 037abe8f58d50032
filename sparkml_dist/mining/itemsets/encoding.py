"""The first pass over the baskets: items become codes, and are counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.mining.itemsets.basket_rows import BasketRows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["BasketTotals", "Chunk", "chunks", "encode", "encoded_baskets", "item_counts"]

# Items of baskets that are encoded at a time.
_ENTRIES = 1 << 20
_ITEM, _BASKETS, _NULL_BASKETS, _EMPTY_BASKETS, _NULL_ITEMS, _DOUBLE_ITEMS = range(6)
# Items whose counts come to the driver at once; a second job fetches what it has to beyond.
_FIRST_ITEMS = 4096
# Totals of chunks, by item, that the driver adds up itself.
_FEW_TOTALS = 1 << 15


@dataclass(frozen=True)
class BasketTotals:
    """What the first pass saw.

    Attributes
    ----------
    baskets : int
        Baskets that are not null.
    null_baskets, empty_baskets : int
    null_items, double_items : int
        Entries that were left out: nulls, and items that their basket held already.
    """

    baskets: int
    null_baskets: int
    empty_baskets: int
    null_items: int
    double_items: int


@dataclass(frozen=True)
class Chunk:
    """A run of encoded baskets with a dictionary of their own.

    Attributes
    ----------
    dictionary : pyarrow.Array
        Distinct items.
    lengths : ndarray of int32, shape (baskets,)
    codes : ndarray of int32, shape (entries,)
        Positions in the dictionary, ascending and distinct within a basket.
    """

    dictionary: pa.Array
    lengths: npt.NDArray[np.int32]
    codes: npt.NDArray[np.int32]


def encoded_baskets(baskets: DataFrame, item_type: str) -> DataFrame:
    """Encode the baskets in chunks, lazily.

    Parameters
    ----------
    baskets : pyspark.sql.DataFrame
        One array column.
    item_type : str
        Spark's name of the items' type.

    Returns
    -------
    pyspark.sql.DataFrame
        A row for each chunk: its baskets, and its totals by item and kind.
    """
    totals = f"array<struct<item:{item_type},kind:tinyint,count:bigint>>"
    return baskets.mapInArrow(encode, f"lengths binary, codes binary, totals {totals}")


def encode(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Turn batches of one list column into rows that `chunks` reads."""
    waiting: list[pa.Array] = []
    entries = 0
    for batch in batches:
        lists = batch.column(0)
        waiting.append(lists)
        entries += len(lists.flatten())
        if entries >= _ENTRIES:
            yield _encoded(waiting)
            waiting, entries = [], 0
    if waiting:
        yield _encoded(waiting)


def _encoded(waiting: list[pa.Array]) -> pa.RecordBatch:
    lists = pa.concat_arrays(waiting)
    null_baskets = lists.null_count
    lists = lists.drop_null()
    lengths = lists.value_lengths().to_numpy()
    encoded = lists.flatten().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy()
    dictionary = encoded.dictionary
    given = codes >= 0
    of_row = np.repeat(np.arange(len(lengths)), lengths)
    rows = BasketRows.from_pairs(of_row[given], codes[given], len(dictionary))
    kinds = {
        _BASKETS: len(lengths),
        _NULL_BASKETS: null_baskets,
        _EMPTY_BASKETS: len(lengths) - len(rows),
        _NULL_ITEMS: int((~given).sum()),
        _DOUBLE_ITEMS: int(given.sum()) - len(rows.codes),
    }
    counts = np.bincount(rows.codes, minlength=len(dictionary))
    totals = pa.StructArray.from_arrays(
        [
            pa.concat_arrays([dictionary, pa.nulls(len(kinds), dictionary.type)]),
            pa.array(np.append(np.zeros(len(counts)), list(kinds)).astype(np.int8)),
            pa.array(np.append(counts, list(kinds.values())).astype(np.int64)),
        ],
        ["item", "kind", "count"],
    )
    offsets = pa.array([0, len(totals)], pa.int32())
    return pa.RecordBatch.from_arrays(
        [
            pa.array([rows.lengths.astype(np.int32).tobytes()], pa.binary()),
            pa.array([rows.codes.tobytes()], pa.binary()),
            pa.ListArray.from_arrays(offsets, totals),
        ],
        ["lengths", "codes", "totals"],
    )


def chunks(batches: Iterator[pa.RecordBatch]) -> Iterator[Chunk]:
    """Read the rows that `encode` wrote."""
    for batch in batches:
        for i in range(batch.num_rows):
            totals = batch.column("totals")[i].values
            dictionary = totals.field("item").filter(
                pa.compute.equal(totals.field("kind"), pa.scalar(_ITEM, pa.int8()))
            )
            yield Chunk(
                dictionary,
                np.frombuffer(batch.column("lengths")[i].as_buffer(), np.int32),
                np.frombuffer(batch.column("codes")[i].as_buffer(), np.int32),
            )


def item_counts(
    encoded: DataFrame, min_support: float | None, min_count: int | None
) -> tuple[BasketTotals, int, pa.Array, npt.NDArray[np.int64]]:
    """Count the baskets of each item.

    Parameters
    ----------
    encoded : pyspark.sql.DataFrame
        From `encoded_baskets`.
    min_support, min_count : float, int, optional
        Share, or number, of the baskets that must hold an item.

    Returns
    -------
    totals : BasketTotals
    min_count : int
        The number of baskets that is asked for.
    items : pyarrow.Array
        The frequent items.
    counts : ndarray of int64
    """
    from pyspark.sql import functions as F

    counted = encoded.selectExpr("inline(totals)")
    sizes = encoded.select(F.size("totals").alias("size")).toArrow().column("size")
    few = (pa.compute.sum(sizes).as_py() or 0) <= _FEW_TOTALS
    if few:
        # Added up here: two shuffles take longer than the rest of a small problem.
        head = counted.toArrow().group_by(["kind", "item"]).aggregate([("count", "sum")])
        head = head.select(["kind", "item", "count_sum"])
        head = head.rename_columns(["kind", "item", "count"])
    else:
        by_item = counted.groupBy("kind", "item").agg(F.sum("count").alias("count"))
        # The totals come first, then the most frequent items.
        head = by_item.orderBy(F.col("kind").desc(), F.col("count").desc())
        head = head.limit(_FIRST_ITEMS + _DOUBLE_ITEMS).toArrow()
    head = head.combine_chunks()
    kinds = head.column("kind").to_numpy()
    counts = head.column("count").to_numpy()
    seen = [int(counts[kinds == kind].sum()) for kind in range(1, 6)]
    totals = BasketTotals(*seen)
    if min_count is None:
        min_count = required_count(min_support or 0.0, totals.baskets)
    if not few and (kinds == _ITEM).sum() == _FIRST_ITEMS and counts[-1] >= min_count:
        found = by_item.where((F.col("kind") == _ITEM) & (F.col("count") >= min_count))
        head = found.toArrow().combine_chunks()
        kinds, counts = head.column("kind").to_numpy(), head.column("count").to_numpy()
    kept = np.flatnonzero((kinds == _ITEM) & (counts >= min_count))
    items = head.column("item").take(pa.array(kept)).combine_chunks()
    if isinstance(items, pa.ChunkedArray):
        items = items.chunk(0) if items.num_chunks else pa.array([], items.type)
    return totals, min_count, items, counts[kept]


def required_count(min_support: float, baskets: int) -> int:
    """Return the least number of baskets that is at least the share `min_support` of all."""
    exact = min_support * baskets
    # A product that should be whole may come out a little too large: 0.07 × 100.
    return max(1, int(np.ceil(exact - max(1e-9, exact * 1e-12))))
