"""Equal rows have equal hashes: where there are many, each copy gets a hash of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["are_bunched", "separated"]

_COPIES = "_copies"
# Above these, equal rows would bunch in one shard, because equal rows have equal hashes.
_DUPLICATES_ALLOWED = 0.01
_RUN_ALLOWED = 16


def are_bunched(rows: int, duplicates: int, longest: int) -> bool:
    """Tell whether so many rows are equal that shards of hashed rows are not fair samples.

    Parameters
    ----------
    rows : int
    duplicates : int
        Rows that equal one before them.
    longest : int
        Most rows that are equal.
    """
    return duplicates > _DUPLICATES_ALLOWED * rows or longest > _RUN_ALLOWED


def separated(rows: DataFrame, hashed: str) -> DataFrame:
    """Give each copy of equal rows a hash of its own.

    Equal rows are grouped, counted and then multiplied again: numbering them in place would depend
    on the order of rows.

    Parameters
    ----------
    rows : pyspark.sql.DataFrame
    hashed : str
        Column with a hash of a row's content.
    """
    from pyspark.sql import functions as F

    others = [c for c in rows.columns if c != hashed]
    grouped = rows.groupBy(hashed).agg(
        F.count(F.lit(1)).alias(_COPIES), *[F.first(c).alias(c) for c in others]
    )
    copies = F.explode(F.sequence(F.lit(1).cast("long"), F.col(_COPIES))).alias(_COPIES)
    own = F.xxhash64(hashed, _COPIES)
    return grouped.select(hashed, *others, copies).withColumn(hashed, own).drop(_COPIES)
