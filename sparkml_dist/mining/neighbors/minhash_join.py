"""Pairs of sets that are nearly the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.ml.base import Transformer
from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasSeed

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.mining.estimator import check_column, check_fraction, check_whole
from sparkml_dist.mining.neighbors.minhash import BandKeys, Bands
from sparkml_dist.models.saved_params import SavedParams
from sparkml_dist.params import constructor, param

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["MinHashJoin"]


class MinHashJoin(SavedParams, Transformer, HasSeed):
    """Near-duplicates: pairs of sets whose Jaccard similarity reaches a threshold.

    Candidates come from MinHash signatures cut into bands (LSH); every candidate is verified on
    the items themselves, so that no pair below the threshold is returned and similarities are
    exact. Of the pairs at the threshold a share of at least `recall` is found on average, of
    those above it more; sets that are equal are always found.

    Parameters
    ----------
    threshold : float, default=0.8
        Least Jaccard similarity, in (0, 1].
    recall : float, default=0.95
        Least probability that a pair at the threshold is found, in (0, 1).
    maxHashes : int, default=512
        Most hashes of a signature.
    itemsCol : str, default="items"
        Array column. Items that a set holds twice count once, nulls are left out; sets that are
        null or empty are like none.
    keyCol : str, default="id"
        Column that identifies a set.
    seed : int, default=0

    Examples
    --------
    >>> pairs = MinHashJoin(threshold=0.7).transform(documents)  # doctest: +SKIP
    """

    threshold: Any = param("threshold", "least Jaccard similarity", TypeConverters.toFloat)
    recall: Any = param(
        "recall", "least probability to find a pair at the threshold", TypeConverters.toFloat
    )
    maxHashes: Any = param("maxHashes", "most hashes of a signature", TypeConverters.toInt)
    itemsCol: Any = param("itemsCol", "array column of the sets' items", TypeConverters.toString)
    keyCol: Any = param("keyCol", "column that identifies a set", TypeConverters.toString)

    @constructor
    def __init__(
        self,
        *,
        threshold: float = 0.8,
        recall: float = 0.95,
        maxHashes: int = 512,
        itemsCol: str = "items",
        keyCol: str = "id",
        seed: int = 0,
    ) -> None: ...

    @property
    def bands(self) -> Bands:
        """How signatures are cut; ``bands.recall_at(jaccard)`` is the recall at any similarity.

        Raises
        ------
        ConfigurationError
            ``invalid_param`` or ``too_few_hashes``.
        """
        threshold, recall = self._value(self.threshold), self._value(self.recall)
        most = self._value(self.maxHashes)
        check_fraction("threshold", threshold)
        check_whole("maxHashes", most)
        if not 0 < recall < 1:
            raise ConfigurationError(
                "invalid_param",
                f"recall must be in (0, 1). Got {recall!r}.",
                "MinHash cannot promise to find every pair.",
            )
        found = Bands.choose(threshold, recall, most)
        if found is None:
            raise ConfigurationError(
                "too_few_hashes",
                f"{most} hashes do not reach a recall of {recall} at a similarity of {threshold}.",
                "Raise maxHashes or the threshold, or ask for less recall.",
            )
        return found

    def _transform(self, dataset: DataFrame) -> DataFrame:
        """Return the pairs of similar sets within `dataset`.

        Returns
        -------
        pyspark.sql.DataFrame
            ``idA`` < ``idB`` and ``jaccard``, each pair once. Evaluated when it is used.

        Raises
        ------
        ConfigurationError
            ``invalid_param`` or ``too_few_hashes``.
        DataError
            ``column_not_found`` or ``items_type``.
        """
        from pyspark.sql import functions as F

        bands = self.bands
        sets = self._sets(dataset)
        across = self._verified(sets, sets, bands, F.col("a.id") < F.col("b.id"))
        ordered = (
            across.withColumn("x", F.explode("idsA"))
            .withColumn("y", F.explode("idsB"))
            .select(F.least("x", "y").alias("idA"), F.greatest("x", "y").alias("idB"), "jaccard")
        )
        equal = sets.where(F.size("ids") > 1).select(
            F.explode("ids").alias("idA"), F.col("ids").alias("others")
        )
        equal = equal.withColumn("idB", F.explode("others")).where(F.col("idA") < F.col("idB"))
        return ordered.unionByName(equal.select("idA", "idB", F.lit(1.0).alias("jaccard")))

    def join(self, left: DataFrame, right: DataFrame) -> DataFrame:
        """Return the pairs of a set of `left` and a similar one of `right`.

        Parameters
        ----------
        left, right : pyspark.sql.DataFrame
            With the same columns keyCol and itemsCol.

        Returns
        -------
        pyspark.sql.DataFrame
            ``idA`` (of left), ``idB`` (of right) and ``jaccard``, each pair once. Evaluated when
            it is used.

        Raises
        ------
        ConfigurationError
            ``invalid_param`` or ``too_few_hashes``.
        DataError
            ``column_not_found`` or ``items_type``.
        """
        from pyspark.sql import functions as F

        bands = self.bands
        a, b = self._sets(left), self._sets(right)
        if a.schema["items"].dataType != b.schema["items"].dataType:
            raise DataError(
                "items_type",
                f"The items of left are {a.schema['items'].dataType.simpleString()}, those of "
                f"right {b.schema['items'].dataType.simpleString()}.",
                "Cast one of them.",
            )
        found = self._verified(a, b, bands, F.lit(True))
        once = found.withColumn("idA", F.explode("idsA")).withColumn("idB", F.explode("idsB"))
        return once.select("idA", "idB", "jaccard")

    def _sets(self, df: DataFrame) -> DataFrame:
        """Return each distinct set once: its items, the ids that have it, the least of them."""
        from pyspark.sql import functions as F
        from pyspark.sql.types import ArrayType

        items, identity = self._value(self.itemsCol), self._value(self.keyCol)
        check_column(df, identity, "id")
        kind = check_column(df, items, "items")
        if not isinstance(kind, ArrayType):
            raise DataError(
                "items_type",
                f"The column {items!r} must be an array of items. Got {kind.simpleString()}.",
                "For text, split it into words or shingles first.",
            )
        clean = F.array_sort(F.array_distinct(F.array_compact(F.col(f"`{items}`"))))
        rows = df.select(F.col(f"`{identity}`").alias("id"), clean.alias("items"))
        return (
            rows.where((F.size("items") > 0) & F.col("id").isNotNull())
            .groupBy("items")
            .agg(F.collect_set("id").alias("ids"), F.min("id").alias("id"))
        )

    def _verified(self, a: DataFrame, b: DataFrame, bands: Bands, order: Any) -> DataFrame:
        """Return idsA, idsB and jaccard of the candidates that reach the threshold."""
        from pyspark.sql import functions as F

        least = F.lit(self._value(self.threshold))
        left, right = (self._keyed(x, bands).alias(n) for x, n in ((a, "a"), (b, "b")))
        smaller = F.least("a.size", "b.size") / F.greatest("a.size", "b.size")
        candidates = (
            left.join(right, F.col("a.key") == F.col("b.key"))
            .where(order & (smaller >= least))
            .select(F.col("a.id").alias("x"), F.col("b.id").alias("y"))
            .distinct()
        )
        of_a = a.select(
            F.col("id").alias("x"), F.col("ids").alias("idsA"), F.col("items").alias("p")
        )
        of_b = b.select(
            F.col("id").alias("y"), F.col("ids").alias("idsB"), F.col("items").alias("q")
        )
        both = candidates.join(of_a, on="x").join(of_b, on="y")
        common = F.size(F.array_intersect("p", "q"))
        jaccard = common / (F.size("p") + F.size("q") - common)
        return both.select("idsA", "idsB", jaccard.alias("jaccard")).where(
            F.col("jaccard") >= least
        )

    def _keyed(self, sets: DataFrame, bands: Bands) -> DataFrame:
        from pyspark.sql import functions as F

        codes = F.transform("items", lambda x: F.xxhash64(x))  # noqa: PLW0108 - takes one here
        kind = sets.schema["id"].dataType.simpleString()
        keys = BandKeys(bands, self._value(self.seed))
        return sets.select("id", codes.alias("codes")).mapInArrow(
            keys, f"id {kind}, size int, key bigint"
        )
