"""The estimator of frequent, closed and maximal itemsets."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasPredictionCol

from sparkml_dist.cluster.progress import job_description
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.mining.itemsets.baskets import basket_lists
from sparkml_dist.mining.itemsets.encoding import encoded_baskets
from sparkml_dist.mining.itemsets.first_look import FirstLook, first_look
from sparkml_dist.mining.itemsets.grouped_mining import grouped_mining
from sparkml_dist.mining.itemsets.grouping import Grouping, group_classes
from sparkml_dist.mining.itemsets.item_counts import (
    BasketTotals,
    ItemCounts,
    Threshold,
    count_items,
)
from sparkml_dist.mining.itemsets.itemsets_model import FrequentItemsetsModel
from sparkml_dist.mining.itemsets.mining_task import Mining
from sparkml_dist.mining.itemsets.packed import sizes_of, unpacked_itemsets
from sparkml_dist.mining.itemsets.trial import trial
from sparkml_dist.mining.itemsets.vocabulary import Vocabulary
from sparkml_dist.models.saved_params import SavedParams
from sparkml_dist.params import constructor, param
from sparkml_dist.session import SessionInfo, planned_bytes
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["FrequentItemsets"]

_logger = logging.getLogger(__name__)

_TARGETS = ("frequent", "closed", "maximal")
# Groups for each slot, so that one that takes longer than estimated holds nobody up.
_GROUPS_PER_SLOT = 3
_SLOTS_UNKNOWN = 8
# Bytes of a table, by Spark's estimate, that is probably small enough to be mined at once.
_SMALL = 8 << 20


class FrequentItemsets(SavedParams, HasPredictionCol):
    """Finds the itemsets that occur together in many baskets, exactly, at any size of the data.

    Items are encoded and counted in one pass, which solves a small problem at once. Of a larger
    one, a task sizes up all of the encoded baskets or a sample of them. Then the
    search space is cut by rarest items into groups of about equal estimated work, small enough
    for a task's memory; each is mined in a task of its own, from the baskets that hold its items.
    Results stay on the executors.

    Parameters
    ----------
    itemsCol : str, default="items"
        Column of arrays of strings or integers; a column of single items where `basketCol` is
        given. Null baskets are left out; nulls and doubles inside a basket count for nothing; an
        empty basket counts as a basket.
    basketCol : str, optional
        Column that says which basket a row's item is in.
    minSupport : float, default=0.1
        Least share of the baskets that hold an itemset, in (0, 1].
    minCount : int, optional
        Least number of baskets instead.
    target : {"frequent", "closed", "maximal"}, default="frequent"
        All frequent itemsets; those that no larger itemset of the same support holds; or those
        that no larger frequent itemset holds.
    maxLength : int, optional
        Items of the largest itemsets that are returned. Whether an itemset is closed or maximal
        does not depend on it.
    maxItemsets : int, default=20000000
        Refuse to begin where more itemsets are estimated.
    numPartitions : int, optional
        Number of groups; chosen by memory, slots and estimated work when not set.
    memoryPerTask : str, default="512m"
        Memory of a task's Python worker; groups are made small enough for it.
    predictionCol : str, default="prediction"
        Column that the model's `transform` adds: how much of what is frequent a basket holds.

    See Also
    --------
    FrequentItemsetsModel : what `fit` returns.

    Notes
    -----
    `fit` keeps the encoded result in Spark's storage (memory and disk), not in a folder; save the
    model to keep it.

    Examples
    --------
    >>> baskets = spark.createDataFrame(
    ...     [(["bread", "milk"],), (["milk", "bread", "jam"],), (["tea"],)], ["items"]
    ... )
    >>> found = FrequentItemsets(minSupport=0.5, target="maximal").fit(baskets).itemsets
    >>> [(sorted(row["items"]), row["count"]) for row in found.collect()]
    [(['bread', 'milk'], 2)]
    """

    itemsCol: Any = param(
        "itemsCol", "column of arrays of items, or of single items", TypeConverters.toString
    )
    basketCol: Any = param(
        "basketCol",
        "column that says which basket a row's item is in; rows are baskets when not set",
        TypeConverters.toString,
    )
    minSupport: Any = param(
        "minSupport",
        "least share of the baskets that hold an itemset, in (0, 1]",
        TypeConverters.toFloat,
    )
    minCount: Any = param(
        "minCount",
        "least number of baskets that hold an itemset (>= 1); wins over minSupport",
        TypeConverters.toInt,
    )
    target: Any = param(
        "target", f"which itemsets: one of {', '.join(_TARGETS)}", TypeConverters.toString
    )
    maxLength: Any = param(
        "maxLength", "items of the largest itemsets that are returned (>= 1)", TypeConverters.toInt
    )
    maxItemsets: Any = param(
        "maxItemsets",
        "refuse to begin where more itemsets are estimated (>= 1)",
        TypeConverters.toInt,
    )
    numPartitions: Any = param(
        "numPartitions",
        "number of groups of the search space (>= 1); by memory, slots and work when not set",
        TypeConverters.toInt,
    )
    memoryPerTask: Any = param(
        "memoryPerTask", "memory of a task's Python worker, like '512m'", TypeConverters.toString
    )

    @constructor
    def __init__(
        self,
        *,
        itemsCol: str = "items",
        basketCol: str | None = None,
        minSupport: float = 0.1,
        minCount: int | None = None,
        target: str = "frequent",
        maxLength: int | None = None,
        maxItemsets: int = 20000000,
        numPartitions: int | None = None,
        memoryPerTask: str = "512m",
        predictionCol: str = "prediction",
    ) -> None: ...

    def _fit(self, dataset: DataFrame) -> FrequentItemsetsModel:
        self._check()
        lists, item_type = basket_lists(
            dataset, self.getOrDefault(self.itemsCol), self._value(self.basketCol)
        )
        spark = dataset.sparkSession
        start = time.perf_counter()
        encoded = encoded_baskets(lists, item_type)
        # To store what is likely to be mined at once would cost a job of its own.
        seen = planned_bytes(dataset)
        if seen is None or seen > _SMALL or self._value(self.numPartitions) is not None:
            encoded.persist()
        try:
            with job_description(spark, "sparkml_dist: count items, and mine what is small"):
                packed, counted, look = self._first_look(encoded, item_type)
            counting = time.perf_counter() - start - look.seconds
            vocabulary = Vocabulary.of(counted.items, counted.counts)
            more: dict[str, Any] = {"groups": 1, "peak_worker_rss": look.peak_rss}
            sizes = look.sizes
            if sizes is None:
                packed.unpersist()
                encoded.persist()  # nothing happens where it is stored already
                target, length = self.getOrDefault(self.target), self._value(self.maxLength)
                mining = Mining(vocabulary, counted.min_count, target, length)
                with job_description(spark, "sparkml_dist: mine itemsets"):
                    packed, sizes, more = self._mined(spark, encoded, mining, look.gave_up)
        finally:
            encoded.unpersist()
        totals = counted.totals
        mining_took = time.perf_counter() - start - counting
        model = FrequentItemsetsModel(
            unpacked_itemsets(packed, vocabulary, item_type, totals.baskets),
            numBaskets=totals.baskets,
            minCount=counted.min_count,
            sizes=sizes,
            itemType=item_type,
            summary={
                "seconds": {"count": round(counting, 3), "mine": round(mining_took, 3)},
                "frequent_items": len(vocabulary),
                "null_baskets": totals.null_baskets,
                "empty_baskets": totals.empty_baskets,
                "null_items": totals.null_items,
                "double_items": totals.double_items,
                **more,
            },
            stored=packed,
        )
        model._resetUid(self.uid)
        return self._copyValues(model)

    def _first_look(
        self, encoded: DataFrame, item_type: str
    ) -> tuple[DataFrame, ItemCounts, FirstLook]:
        """Count the items; mine at once what is small, into Spark's storage."""
        threshold = Threshold(self.getOrDefault(self.minSupport), self._value(self.minCount))
        looked = first_look(
            encoded,
            item_type,
            threshold,
            self.getOrDefault(self.target),
            self._value(self.maxLength),
            outright=self._value(self.numPartitions) is None,
        )
        with _stored(looked):
            look = FirstLook.read(looked, threshold)
            counted = look.counted or count_items(encoded, threshold)
            self._tell(counted.totals, counted.min_count)
            if look.sizes is not None:
                self._refuse_too_many(sum(look.sizes.values()), exact=True)
        return looked, counted, look

    def _mined(
        self, spark: SparkSession, encoded: DataFrame, mining: Mining, gave_up: bool
    ) -> tuple[DataFrame, dict[int, int], dict[str, Any]]:
        """Return the packed itemsets in Spark's storage, their sizes, and how it went."""
        exactly = self._value(self.numPartitions)
        outright = not len(mining.vocabulary) or (exactly is None and not gave_up)
        packed = trial(encoded, mining, outright=outright)
        with _stored(packed):
            sizes, notes = _collected(packed)
            if notes[0]["complete"]:
                self._refuse_too_many(sum(sizes.values()), exact=True)
                return packed, sizes, {"groups": 1, "peak_worker_rss": notes[0]["peak_rss"]}
        packed.unpersist()
        estimate = notes[0]["estimate"]
        self._refuse_too_many(estimate)
        grouping = self._grouping(spark, mining, notes[0])
        _logger.info(
            "about %s itemsets expected; %d groups, the largest of %s entries",
            f"{estimate:,.0f}",
            grouping.groups,
            f"{grouping.largest_entries:,.0f}",
        )
        packed = grouped_mining(
            encoded,
            mining,
            grouping,
            cores=SessionInfo.of(spark).task_cpus,
            max_itemsets=2 * self.getOrDefault(self.maxItemsets),
        )
        with _stored(packed):
            sizes, notes = _collected(packed)
        more = {
            "groups": grouping.groups,
            "split_classes": len(grouping.splits),
            "estimate": estimate,
            "peak_worker_rss": max((note["peak_rss"] for note in notes), default=0),
        }
        return packed, sizes, more

    def _grouping(self, spark: SparkSession, mining: Mining, note: dict[str, Any]) -> Grouping:
        import numpy as np

        slots = SessionInfo.of(spark).slots or _SLOTS_UNKNOWN
        entries = np.array(note["entries"])
        lengths = entries / np.maximum(1, mining.vocabulary.counts)
        return group_classes(
            np.array(note["itemsets"]),
            entries,
            parse_size(self.getOrDefault(self.memoryPerTask), "memoryPerTask"),
            _GROUPS_PER_SLOT * slots,
            self._value(self.numPartitions),
            lengths=lengths if mining.needs_whole_baskets else None,
        )

    def _refuse_too_many(self, number: float, *, exact: bool = False) -> None:
        limit = self.getOrDefault(self.maxItemsets)
        target = self.getOrDefault(self.target)
        # An estimate knows nothing of maxLength; but there are only so many pairs of items.
        bounded = (self._value(self.maxLength) or 3) <= 2
        if number <= limit or (bounded and not exact):
            return
        if exact:
            told = f"There are {number:,} {target} itemsets"
        else:
            among = "" if target == "frequent" else f" (the {target} ones are fewer)"
            told = f"About {_rounded(number)} frequent itemsets are expected{among}"
        raise DataError(
            "too_many_itemsets",
            f"{told}; maxItemsets is {limit:,}.",
            "Raise minSupport, set maxLength"
            + (", ask for target='closed' or 'maximal'" if target == "frequent" else "")
            + ", or raise maxItemsets to go on all the same.",
        )

    def _tell(self, totals: BasketTotals, min_count: int) -> None:
        if totals.baskets == 0:
            raise DataError(
                "empty_data",
                "There are no baskets"
                + (f": all {totals.null_baskets:,} are null." if totals.null_baskets else "."),
                "Check the column and the data.",
            )
        if min_count > totals.baskets:
            _logger.warning(
                "minCount is %s, but there are only %s baskets",
                f"{min_count:,}",
                f"{totals.baskets:,}",
            )
        for number, what in (
            (totals.null_baskets, "null baskets are left out"),
            (totals.null_items, "null items are left out of their baskets"),
            (totals.double_items, "items that their basket held already count once"),
        ):
            if number:
                _logger.warning("%s %s", f"{number:,}", what)

    def _check(self) -> None:
        """Raise for Params out of range, before any job."""
        support = self.getOrDefault(self.minSupport)
        if not 0 < support <= 1:
            raise ConfigurationError(
                "invalid_param",
                f"minSupport must be in (0, 1]. Got {support!r}.",
                "It is a share of the baskets; give a number of baskets as minCount.",
            )
        target = self.getOrDefault(self.target)
        if target not in _TARGETS:
            raise ConfigurationError(
                "invalid_param",
                f"target must be one of {', '.join(_TARGETS)}. Got {target!r}."
                f"{nearest(target, _TARGETS)}",
            )
        for declared in (self.minCount, self.maxLength, self.maxItemsets, self.numPartitions):
            value = self._value(declared)
            if value is not None and value < 1:
                raise ConfigurationError(
                    "invalid_param", f"{declared.name} must be at least 1. Got {value!r}."
                )
        parse_size(self.getOrDefault(self.memoryPerTask), "memoryPerTask")


def _collected(packed: DataFrame) -> tuple[dict[int, int], list[dict[str, Any]]]:
    """Compute the packed itemsets; return how many there are by size, and the tasks' notes."""
    rows = packed.select("sizes", "note").collect()
    notes = [json.loads(row["note"]) for row in rows if row["note"] is not None]
    return sizes_of(row["sizes"] for row in rows), notes


def _rounded(estimate: float) -> str:
    return f"{estimate:,.0f}" if estimate < 1e6 else f"{estimate:.1e}"


@contextmanager
def _stored(table: DataFrame) -> Iterator[None]:
    """Keep what is computed within in Spark's storage, unless it fails."""
    table.persist()
    try:
        yield
    except BaseException:
        table.unpersist()
        raise
