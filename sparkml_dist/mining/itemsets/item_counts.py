"""The number of baskets that hold each item, and totals of all baskets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.mining.itemsets.encoding import DOUBLE_ITEMS, ITEM

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["BasketTotals", "ItemCounts", "Threshold", "added_totals", "count_items"]

# Item counts that the driver gets in the first job; a second job fetches further ones.
_FIRST_ITEMS = 4096


@dataclass(frozen=True)
class Threshold:
    """The least support of an itemset: a share of baskets, or a count, which takes precedence."""

    min_support: float | None
    min_count: int | None

    def count(self, baskets: int) -> int:
        """Return the least count of an itemset among `baskets` baskets."""
        if self.min_count is not None:
            return self.min_count
        exact = (self.min_support or 0.0) * baskets
        # Rounding may make a whole product slightly too large: 0.07 × 100.
        return max(1, int(np.ceil(exact - max(1e-9, exact * 1e-12))))


@dataclass(frozen=True)
class BasketTotals:
    """Totals of all baskets.

    Attributes
    ----------
    baskets : int
        Baskets that are not null.
    null_baskets, empty_baskets : int
    null_items, double_items : int
        Entries that were left out: nulls, and duplicates within a basket.
    """

    baskets: int
    null_baskets: int
    empty_baskets: int
    null_items: int
    double_items: int


@dataclass(frozen=True)
class ItemCounts:
    """The frequent items.

    Attributes
    ----------
    totals : BasketTotals
    min_count : int
        Least count of a frequent item.
    items : pyarrow.Array
    counts : ndarray of int64
    """

    totals: BasketTotals
    min_count: int
    items: pa.Array
    counts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, totals: pa.StructArray, threshold: Threshold) -> ItemCounts:
        """Return the frequent items of totals.

        Parameters
        ----------
        totals : pyarrow.StructArray
            ``item``, ``kind`` and ``count``, each item and kind once.
        threshold : Threshold
        """
        kinds, counts = (totals.field(name).to_numpy() for name in ("kind", "count"))
        seen = BasketTotals(*(int(counts[kinds == kind].sum()) for kind in range(1, 6)))
        min_count = threshold.count(seen.baskets)
        kept = np.flatnonzero((kinds == ITEM) & (counts >= min_count))
        return cls(seen, min_count, totals.field("item").take(pa.array(kept)), counts[kept])


def added_totals(parts: list[pa.StructArray]) -> pa.StructArray:
    """Add up totals by item and kind.

    Parameters
    ----------
    parts : list of pyarrow.StructArray
        Of ``item``, ``kind`` and ``count``.

    Returns
    -------
    pyarrow.StructArray
        Each item and kind once.
    """
    table = pa.Table.from_batches([pa.RecordBatch.from_struct_array(part) for part in parts])
    added = table.group_by(["item", "kind"]).aggregate([("count", "sum")])
    return _structs(added.select(["item", "kind", "count_sum"]))


def count_items(encoded: DataFrame, threshold: Threshold) -> ItemCounts:
    """Count the baskets of each item in a Spark aggregation, for any number of items.

    Parameters
    ----------
    encoded : pyspark.sql.DataFrame
        From `encoded_baskets`.
    threshold : Threshold
    """
    from pyspark.sql import functions as F

    totals = encoded.selectExpr("inline(totals)").groupBy("item", "kind")
    by_item = totals.agg(F.sum("count").alias("count"))
    # The totals come first, then the most frequent items.
    first = by_item.orderBy(F.col("kind").desc(), F.col("count").desc())
    head = first.limit(_FIRST_ITEMS + DOUBLE_ITEMS).toArrow()
    found = ItemCounts.of(_structs(head), threshold)
    if len(found.counts) < _FIRST_ITEMS:
        return found
    more = by_item.where((F.col("kind") == ITEM) & (F.col("count") >= found.min_count))
    every = ItemCounts.of(_structs(more.toArrow()), Threshold(None, found.min_count))
    return ItemCounts(found.totals, found.min_count, every.items, every.counts)


def _structs(table: pa.Table) -> pa.StructArray:
    """Return a table of items, kinds and counts as one struct array."""
    columns = [
        pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        for column in table.columns
    ]
    return pa.StructArray.from_arrays(columns, ["item", "kind", "count"])
