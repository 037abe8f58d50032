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
from sparkml_dist.mining.itemsets.first_pass import FirstPass, first_pass
from sparkml_dist.mining.itemsets.grouped_mining import grouped_mining
from sparkml_dist.mining.itemsets.grouping import Grouping, group_classes
from sparkml_dist.mining.itemsets.item_counts import (
    BasketTotals,
    ItemCounts,
    Threshold,
    count_items,
)
from sparkml_dist.mining.itemsets.itemsets_model import FrequentItemsetsModel
from sparkml_dist.mining.itemsets.mine_or_estimate import mine_or_estimate
from sparkml_dist.mining.itemsets.mining_task import Mining
from sparkml_dist.mining.itemsets.packed import sizes_of, unpacked_itemsets
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
# Groups per task slot, so that a group slower than estimated does not leave slots idle.
_GROUPS_PER_SLOT = 3
_SLOTS_UNKNOWN = 8
# Spark's estimate of a table's bytes up to which it is probably small enough to be mined at once.
_SMALL = 8 << 20


class FrequentItemsets(SavedParams, HasPredictionCol):
    """Finds all itemsets that occur in many baskets: exact, for data of any size.

    One pass encodes and counts the items, and mines small data at once. For larger data, a task
    estimates the work from the encoded baskets or a sample of them. Then the search space is
    partitioned by rarest items into groups of about equal estimated work, small enough for a task's
    memory. A task mines each group from the baskets that hold its items. Results stay on the
    executors.

    Parameters
    ----------
    itemsCol : str, default="items"
        Column of arrays of strings or integers; a column of single items where `basketCol` is
        given. Null baskets are left out; nulls and duplicates inside a basket are ignored; an empty
        basket counts as a basket.
    basketCol : str, optional
        Column that identifies the basket of a row's item.
    minSupport : float, default=0.1
        Least share of baskets that must hold an itemset, in (0, 1].
    minCount : int, optional
        Least number of baskets, in place of `minSupport`.
    target : {"frequent", "closed", "maximal"}, default="frequent"
        All frequent itemsets; those without a superset of the same support; or those without a
        frequent superset.
    maxLength : int, optional
        Most items of the itemsets that are returned. Whether an itemset is closed or maximal does
        not depend on it.
    maxItemsets : int, default=20000000
        Raise before mining where more itemsets are estimated.
    numPartitions : int, optional
        Number of groups; follows from memory, task slots and estimated work when not set.
    memoryPerTask : str, default="512m"
        Memory of a task's Python worker; groups are made small enough for it.
    predictionCol : str, default="prediction"
        Column that the model's `transform` adds: the support of the itemsets that a basket holds,
        over the number of all itemsets.

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
        "column that identifies the basket of a row's item; rows are baskets when not set",
        TypeConverters.toString,
    )
    minSupport: Any = param(
        "minSupport",
        "least share of the baskets that hold an itemset, in (0, 1]",
        TypeConverters.toFloat,
    )
    minCount: Any = param(
        "minCount",
        "least number of baskets that hold an itemset (>= 1); takes precedence over minSupport",
        TypeConverters.toInt,
    )
    target: Any = param(
        "target", f"which itemsets: one of {', '.join(_TARGETS)}", TypeConverters.toString
    )
    maxLength: Any = param("maxLength", "most items of an itemset (>= 1)", TypeConverters.toInt)
    maxItemsets: Any = param(
        "maxItemsets",
        "raise before mining where more itemsets are estimated (>= 1)",
        TypeConverters.toInt,
    )
    numPartitions: Any = param(
        "numPartitions",
        "number of groups of the search space (>= 1); estimated when not set",
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
        # Baskets that are likely to be mined at once are not stored: that would cost another job.
        seen = planned_bytes(dataset)
        if seen is None or seen > _SMALL or self._value(self.numPartitions) is not None:
            encoded.persist()
        try:
            with job_description(spark, "sparkml_dist: count items, and mine what is small"):
                packed, counted, look = self._first_pass(encoded, item_type)
            counting = time.perf_counter() - start - look.seconds
            vocabulary = Vocabulary.of(counted.items, counted.counts)
            more: dict[str, Any] = {"groups": 1, "peak_worker_rss": look.peak_rss}
            sizes = look.sizes
            if sizes is None:
                packed.unpersist()
                encoded.persist()  # no effect where it is stored already
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

    def _first_pass(
        self, encoded: DataFrame, item_type: str
    ) -> tuple[DataFrame, ItemCounts, FirstPass]:
        """Count the items; mine small data at once, into Spark's storage."""
        threshold = Threshold(self.getOrDefault(self.minSupport), self._value(self.minCount))
        looked = first_pass(
            encoded,
            item_type,
            threshold,
            self.getOrDefault(self.target),
            self._value(self.maxLength),
            mine_small=self._value(self.numPartitions) is None,
        )
        with _stored(looked):
            look = FirstPass.read(looked, threshold)
            counted = look.counted or count_items(encoded, threshold)
            self._report(counted.totals, counted.min_count)
            if look.sizes is not None:
                self._refuse_too_many(sum(look.sizes.values()), exact=True)
        return looked, counted, look

    def _mined(
        self, spark: SparkSession, encoded: DataFrame, mining: Mining, gave_up: bool
    ) -> tuple[DataFrame, dict[int, int], dict[str, Any]]:
        """Return the packed itemsets in Spark's storage, their sizes, and the fit's summary."""
        exactly = self._value(self.numPartitions)
        mine_small = not len(mining.vocabulary) or (exactly is None and not gave_up)
        packed = mine_or_estimate(encoded, mining, mine_small=mine_small)
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
        # An estimate ignores maxLength, but the number of pairs of items is a bound.
        bounded = (self._value(self.maxLength) or 3) <= 2
        if number <= limit or (bounded and not exact):
            return
        if exact:
            fact = f"There are {number:,} {target} itemsets"
        else:
            among = "" if target == "frequent" else f" (the {target} ones are fewer)"
            fact = f"About {_rounded(number)} frequent itemsets are expected{among}"
        raise DataError(
            "too_many_itemsets",
            f"{fact}; maxItemsets is {limit:,}.",
            "Raise minSupport, set maxLength"
            + (", ask for target='closed' or 'maximal'" if target == "frequent" else "")
            + ", or raise maxItemsets to mine all the same.",
        )

    def _report(self, totals: BasketTotals, min_count: int) -> None:
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
            (totals.double_items, "duplicate items count once in their basket"),
        ):
            if number:
                _logger.warning("%s %s", f"{number:,}", what)

    def _check(self) -> None:
        """Raise for Params out of range."""
        support = self.getOrDefault(self.minSupport)
        if not 0 < support <= 1:
            raise ConfigurationError(
                "invalid_param",
                f"minSupport must be in (0, 1]. Got {support!r}.",
                "It is a share of the baskets; set minCount for a number of baskets.",
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
    """Compute the packed itemsets; return their number by size, and the notes of the tasks."""
    rows = packed.select("sizes", "note").collect()
    notes = [json.loads(row["note"]) for row in rows if row["note"] is not None]
    return sizes_of(row["sizes"] for row in rows), notes


def _rounded(estimate: float) -> str:
    return f"{estimate:,.0f}" if estimate < 1e6 else f"{estimate:.1e}"


@contextmanager
def _stored(table: DataFrame) -> Iterator[None]:
    """Persist a table; unpersist it if the block raises."""
    table.persist()
    try:
        yield
    except BaseException:
        table.unpersist()
        raise
