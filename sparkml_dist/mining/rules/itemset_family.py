"""A complete family of frequent itemsets: its checks, and its distribution over tasks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkml_dist.errors import DataError, ResourceError
from sparkml_dist.mining.rules.set_index import BYTES_PER_ITEMSET

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["ItemsetFamily", "hashed_itemsets", "itemset_shares"]

_LONGEST = 63


@dataclass(frozen=True)
class ItemsetFamily:
    """Facts about all frequent itemsets of one minimum support.

    Attributes
    ----------
    n_baskets : int
    sizes : dict of int
        Number of itemsets by number of items.
    """

    n_baskets: int
    sizes: dict[int, int]

    @property
    def n(self) -> int:
        """Number of itemsets."""
        return sum(self.sizes.values())

    def candidates(self, max_consequent: int | None) -> int:
        """Return the number of rules of the itemsets, of any confidence."""
        total = 0
        for k, n in self.sizes.items():
            deepest = min(k - 1, max_consequent or k)
            total += n * sum(math.comb(k, j) for j in range(1, deepest + 1))
        return total

    @classmethod
    def survey(cls, hashed: DataFrame, *, n_baskets: int | None, memory: int) -> ItemsetFamily:
        """Count the itemsets by size, in one pass.

        Parameters
        ----------
        hashed : pyspark.sql.DataFrame
            What `hashed_itemsets` returned.
        n_baskets : int or None
            Number of baskets; from count and support when it is None.
        memory : int
            Memory of a task, bytes.

        Raises
        ------
        DataError
            ``no_itemsets``, ``column_type``, ``itemset_too_long``, ``invalid_itemsets`` or
            ``no_basket_count``.
        ResourceError
            ``index_too_large``.
        """
        from pyspark.sql import functions as F

        ratio = F.lit(None) if n_baskets else F.max(F.try_divide("count", "support"))
        rows = (
            hashed.groupBy(F.coalesce(F.size("items"), F.lit(-1)).alias("size"))
            .agg(
                F.count("*").alias("n"),
                F.max("count").alias("most"),
                ratio.alias("baskets"),
                F.countDistinct("hash").alias("distinct"),
            )
            .collect()
        )
        sizes = {int(row["size"]): int(row["n"]) for row in rows}
        if not sizes:
            raise DataError(
                "no_itemsets",
                "There are no itemsets to make rules of.",
                "Lower the minimum support.",
            )
        if min(sizes) < 1:
            raise DataError(
                "invalid_itemsets", "An itemset is null, empty or holds a null.", "Drop it."
            )
        if max(sizes) > _LONGEST:
            raise DataError(
                "itemset_too_long",
                f"An itemset has {max(sizes)} items; rules take at most {_LONGEST}.",
                "Limit maxLength of the itemsets.",
            )
        if any(row["distinct"] != row["n"] for row in rows):
            raise DataError(
                "invalid_itemsets",
                "An itemset occurs twice.",
                "Give each itemset once: df.dropDuplicates(['items']).",
            )
        n = n_baskets or round(max(row["baskets"] or 0 for row in rows))
        most = max(row["most"] for row in rows)
        if n < most:
            raise DataError(
                "no_basket_count",
                f"An itemset is in {most:,} baskets, but there are {n:,} in all.",
                "Set numBaskets to the number of baskets that were mined.",
            )
        total = sum(sizes.values())
        needed = total * BYTES_PER_ITEMSET
        if needed > memory:
            raise ResourceError(
                "index_too_large",
                f"The index of {total:,} itemsets takes {needed / 2**20:,.0f} MiB in every task; "
                f"memoryPerTask is {memory / 2**20:,.0f} MiB.",
                "Raise memoryPerTask, or mine with a higher minimum support or a maxLength.",
            )
        return cls(n, sizes)


def hashed_itemsets(df: DataFrame, items: str, count: str) -> DataFrame:
    """Return items, count, support, the hash of the set and the hashes of its items."""
    from pyspark.sql import functions as F

    whole = F.when(F.exists(items, lambda x: x.isNull()), F.lit(None)).otherwise(F.col(items))
    support = [F.col("support")] if "support" in df.columns else []
    named = df.select(whole.alias("items"), F.col(count).cast("long").alias("count"), *support)
    codes = F.transform("items", lambda x: F.xxhash64(x))  # noqa: PLW0108 - takes one argument here
    together = F.aggregate("codes", F.lit(0).cast("long"), lambda all_, x: all_.bitwiseXOR(x))
    return named.withColumn("codes", codes).withColumn("hash", together)


def itemset_shares(hashed: DataFrame, tasks: int) -> DataFrame:
    """Give each task an index of all itemsets, then its share of them."""
    from pyspark.sql import functions as F

    share = F.pmod(F.shiftright("hash", 17), F.lit(tasks)).cast("int")
    itemsets = hashed.where(F.size("items") > 1).select(
        "items", "count", "hash", "codes", share.alias("share")
    )
    index = hashed.select(
        F.lit(None).cast(hashed.schema["items"].dataType).alias("items"),
        "count",
        "hash",
        F.lit(None).cast("array<bigint>").alias("codes"),
        F.explode(F.sequence(F.lit(0), F.lit(tasks - 1))).alias("share"),
    )
    placed = index.unionByName(itemsets).repartitionById(tasks, F.col("share"))
    ordered = placed.sortWithinPartitions(F.col("items").isNotNull())
    return ordered.select("items", "count", "hash", "codes")
