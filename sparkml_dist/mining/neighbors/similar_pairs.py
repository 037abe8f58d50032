"""Pairs of sets that are nearly the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.mining.estimator import check_column, check_fraction, check_whole
from sparkml_dist.mining.neighbors.minhash import BandKeys, Bands

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["similar_pairs"]


def similar_pairs(
    df: DataFrame,
    other: DataFrame | None = None,
    *,
    threshold: float = 0.8,
    recall: float = 0.95,
    maxHashes: int = 512,
    itemsCol: str = "items",
    keyCol: str = "id",
    seed: int = 0,
) -> DataFrame:
    """Return near-duplicates: pairs of sets whose Jaccard similarity reaches a threshold.

    Candidates come from banded MinHash signatures (LSH). Every candidate is verified on the items
    themselves: no pair below the threshold is returned, and similarities are exact. Of the pairs at
    the threshold, a share of at least `recall` is found on average, and more of those above it.
    Equal sets are always found.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        With keyCol and itemsCol.
    other : pyspark.sql.DataFrame, optional
        With the same columns: pairs then have one set of `df` and one of `other`.
    threshold : float, default=0.8
        Least Jaccard similarity, in (0, 1].
    recall : float, default=0.95
        Least probability that a pair at the threshold is found, in (0, 1).
    maxHashes : int, default=512
        Most hashes of a signature.
    itemsCol : str, default="items"
        Array column. Duplicate items count once and nulls are left out. Null and empty sets are in
        no pair.
    keyCol : str, default="id"
        Column that identifies a set.
    seed : int, default=0

    Returns
    -------
    pyspark.sql.DataFrame
        ``keyA`` (< ``keyB`` within one DataFrame, or of `df`), ``keyB`` (of `other`) and
        ``jaccard``, each pair once. Computed lazily.

    Raises
    ------
    ConfigurationError
        ``invalid_param`` or ``too_few_hashes``.
    DataError
        ``column_not_found`` or ``column_type``.

    Examples
    --------
    >>> documents = spark.createDataFrame(
    ...     [(1, ["a", "b", "c", "d"]), (2, ["d", "c", "b", "a"]), (3, ["x", "y", "z"])],
    ...     "id int, items array<string>",
    ... )
    >>> similar_pairs(documents, threshold=0.7).first()
    Row(keyA=1, keyB=2, jaccard=1.0)
    """
    from pyspark.sql import functions as F

    bands = _bands(threshold, recall, maxHashes)
    a = _sets(df, itemsCol, keyCol)
    b = a if other is None else _sets(other, itemsCol, keyCol)
    kind, second = (x.schema["items"].dataType.simpleString() for x in (a, b))
    if kind != second:
        raise DataError(
            "column_type",
            f"The items of df are {kind}, those of other {second}.",
            "Cast one of them.",
        )
    order = F.lit(True) if other is not None else F.col("a.id") < F.col("b.id")
    found = (
        _verified(a, b, BandKeys(bands, seed), threshold, order)
        .withColumn("x", F.explode("idsA"))
        .withColumn("y", F.explode("idsB"))
    )
    if other is not None:
        return found.select(F.col("x").alias("keyA"), F.col("y").alias("keyB"), "jaccard")
    across = found.select(
        F.least("x", "y").alias("keyA"), F.greatest("x", "y").alias("keyB"), "jaccard"
    )
    equal = a.where(F.size("ids") > 1).select(
        F.explode("ids").alias("keyA"), F.col("ids").alias("others")
    )
    equal = equal.withColumn("keyB", F.explode("others")).where(F.col("keyA") < F.col("keyB"))
    return across.unionByName(equal.select("keyA", "keyB", F.lit(1.0).alias("jaccard")))


def _bands(threshold: float, recall: float, most: int) -> Bands:
    """Return the division of signatures into bands."""
    check_fraction("threshold", threshold)
    check_whole("maxHashes", most)
    if not 0 < recall < 1:
        raise ConfigurationError(
            "invalid_param",
            f"recall must be in (0, 1). Got {recall!r}.",
            "MinHash cannot guarantee to find every pair.",
        )
    found = Bands.choose(threshold, recall, most)
    if found is None:
        raise ConfigurationError(
            "too_few_hashes",
            f"{most} hashes do not reach a recall of {recall} at a similarity of {threshold}.",
            "Raise maxHashes or the threshold, or lower recall.",
        )
    return found


def _sets(df: DataFrame, items: str, key: str) -> DataFrame:
    """Return each distinct set once, with its items, its ids and the least id."""
    from pyspark.sql import functions as F
    from pyspark.sql.types import ArrayType

    check_column(df, key, "keyCol")
    kind = check_column(df, items, "itemsCol")
    if not isinstance(kind, ArrayType):
        raise DataError(
            "column_type",
            f"The column {items!r} must be an array of items. Got {kind.simpleString()}.",
            "For text, split it into words or shingles first.",
        )
    clean = F.array_sort(F.array_distinct(F.array_compact(named_column(items))))
    rows = df.select(named_column(key).alias("id"), clean.alias("items"))
    return (
        rows.where((F.size("items") > 0) & F.col("id").isNotNull())
        .groupBy("items")
        .agg(F.collect_set("id").alias("ids"), F.min("id").alias("id"))
    )


def _verified(
    a: DataFrame, b: DataFrame, keys: BandKeys, threshold: float, order: Any
) -> DataFrame:
    """Return idsA, idsB and jaccard of the candidates that reach the threshold."""
    from pyspark.sql import functions as F

    least = F.lit(threshold)
    left, right = (_keyed(x, keys).alias(n) for x, n in ((a, "a"), (b, "b")))
    smaller = F.least("a.size", "b.size") / F.greatest("a.size", "b.size")
    candidates = (
        left.join(right, F.col("a.key") == F.col("b.key"))
        .where(order & (smaller >= least))
        .select(F.col("a.id").alias("x"), F.col("b.id").alias("y"))
        .distinct()
    )
    of_a = a.select(F.col("id").alias("x"), F.col("ids").alias("idsA"), F.col("items").alias("p"))
    of_b = b.select(F.col("id").alias("y"), F.col("ids").alias("idsB"), F.col("items").alias("q"))
    both = candidates.join(of_a, on="x").join(of_b, on="y")
    common = F.size(F.array_intersect("p", "q"))
    jaccard = common / (F.size("p") + F.size("q") - common)
    return both.select("idsA", "idsB", jaccard.alias("jaccard")).where(F.col("jaccard") >= least)


def _keyed(sets: DataFrame, keys: BandKeys) -> DataFrame:
    from pyspark.sql import functions as F

    codes = F.transform("items", lambda x: F.xxhash64(x))  # noqa: PLW0108 - takes one here
    kind = sets.schema["id"].dataType.simpleString()
    return sets.select("id", codes.alias("codes")).mapInArrow(
        keys, f"id {kind}, size int, key bigint"
    )
