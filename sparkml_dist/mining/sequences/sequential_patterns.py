"""Frequent sequential patterns, with limits on gaps and spans."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasPredictionCol

from sparkml_dist.cluster.workers import check_workers
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.mining.estimator import (
    MiningEstimator,
    check_fraction,
    check_whole,
)
from sparkml_dist.mining.sequences.closed_patterns import closed_patterns
from sparkml_dist.mining.sequences.event_columns import events_of, times_of
from sparkml_dist.mining.sequences.limits import Limits
from sparkml_dist.mining.sequences.patterns_model import SequentialPatternsModel
from sparkml_dist.mining.sequences.prefix_tasks import GrowPatterns, too_many_patterns
from sparkml_dist.mining.sequences.search_space import (
    BYTES_PER_EVENT,
    cut,
    frequent_items,
    grown,
)
from sparkml_dist.mining.sequences.sequence_rows import ENCODED, Encoder
from sparkml_dist.params import constructor, param
from sparkml_dist.session import SessionInfo
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["SequentialPatterns"]

_logger = logging.getLogger(__name__)

_TARGETS = ("frequent", "closed")
_PARTS_PER_SLOT = 4


class SequentialPatterns(MiningEstimator, HasPredictionCol):
    """Sequential patterns by prefix growth (Pei et al. 2004, PrefixSpan).

    A sequence is an array of events in order, an event an array of items; a plain array of items
    has one item per event. A sequence contains the pattern (a b)(c) if an event has a and b and a
    later event has c. Each task grows the patterns of some prefixes, from the sequences that
    contain one of them; prefixes whose sequences exceed memoryPerTask are first extended, by
    further jobs, until they fit.

    Parameters
    ----------
    minSupport : float, default=0.1
        Least share of sequences that contain a pattern.
    minCount : int, optional
        Least number of sequences, in place of minSupport.
    maxLength : int, default=10
        Most items of a pattern.
    minGap, maxGap : float, optional
        Least and largest time between the events that match neighbouring elements, both inclusive:
        in positions, or in the unit of timesCol if it is set (seconds for timestamps).
    maxSpan : float, optional
        Largest time from the first matching event to the last.
    target : {"frequent", "closed"}, default="frequent"
        All frequent patterns, or those without a longer frequent pattern of the same count that
        contains them.
    sequenceCol : str, default="sequence"
        Column of sequences. Duplicate items of an event count once, nulls are left out, and null
        sequences are not counted.
    timesCol : str, optional
        Array column with the time of each event, strictly ascending.
    maxPatterns : int, default=10000000
        Raise where there are more frequent patterns.
    memoryPerTask : str, default="512m"
        Memory of a task beyond its interpreter.
    predictionCol : str, default="prediction"
        Column that the model's `transform` adds: the summed support of the patterns that a sequence
        contains, over the number of all patterns.

    Examples
    --------
    >>> visits = spark.createDataFrame(
    ...     [([["bread"], ["milk", "tea"]],), ([["bread", "jam"], ["milk"]],)],
    ...     "sequence array<array<string>>",
    ... )
    >>> found = SequentialPatterns(minSupport=1.0, target="closed").fit(visits)
    >>> found.patterns.first()["sequence"]
    [['bread'], ['milk']]
    """

    minSupport: Any = param("minSupport", "least share of sequences", TypeConverters.toFloat)
    minCount: Any = param(
        "minCount", "least number of sequences, in place of minSupport", TypeConverters.toInt
    )
    maxLength: Any = param("maxLength", "most items of a pattern", TypeConverters.toInt)
    minGap: Any = param(
        "minGap", "least time between neighbouring elements", TypeConverters.toFloat
    )
    maxGap: Any = param(
        "maxGap", "largest time between neighbouring elements", TypeConverters.toFloat
    )
    maxSpan: Any = param(
        "maxSpan", "largest time from the first matching event to the last", TypeConverters.toFloat
    )
    target: Any = param("target", "frequent or closed", TypeConverters.toString)
    sequenceCol: Any = param("sequenceCol", "column of sequences", TypeConverters.toString)
    timesCol: Any = param(
        "timesCol", "array column with the time of each event", TypeConverters.toString
    )
    maxPatterns: Any = param(
        "maxPatterns", "raise where there are more frequent patterns (>= 1)", TypeConverters.toInt
    )
    memoryPerTask: Any = param(
        "memoryPerTask", "memory of a task, like '512m'", TypeConverters.toString
    )

    @constructor
    def __init__(
        self,
        *,
        minSupport: float = 0.1,
        minCount: int | None = None,
        maxLength: int = 10,
        minGap: float | None = None,
        maxGap: float | None = None,
        maxSpan: float | None = None,
        target: str = "frequent",
        sequenceCol: str = "sequence",
        timesCol: str | None = None,
        maxPatterns: int = 10000000,
        memoryPerTask: str = "512m",
        predictionCol: str = "prediction",
    ) -> None: ...

    def _fit(self, dataset: DataFrame) -> SequentialPatternsModel:
        """Mine the patterns of sequences.

        Returns
        -------
        SequentialPatternsModel
            Its ``patterns`` are persisted once computed (`unpersist` frees them).

        Raises
        ------
        ConfigurationError
            ``invalid_param``.
        DataError
            ``column_not_found``, ``column_type``, ``empty_data``,
            ``bad_times`` or ``too_many_patterns``.
        """
        limits = self._limits()
        sequences, item_type = self._sequences(dataset)
        spark = dataset.sparkSession
        check_workers(spark)
        n = self._count_sequences(sequences)
        given = self._value(self.minCount)
        support = self._value(self.minSupport)
        least = given if given is not None else max(1, math.ceil(support * n - 1e-9))
        items, prefixes = frequent_items(sequences, least)
        encoded = sequences.mapInArrow(Encoder(items), ENCODED).persist()
        try:
            slots = SessionInfo.of(spark).slots or 8
            budget = parse_size(self._value(self.memoryPerTask)) // BYTES_PER_EVENT
            space = cut(
                encoded, prefixes, limits, least, budget=budget, n_parts=slots * _PARTS_PER_SLOT
            )
            most = self._value(self.maxPatterns)
            task = GrowPatterns(space.parts, limits, least, n, items, most)
            schema = f"sequence array<array<{item_type}>>, count bigint, support double"
            found = grown(encoded, task, schema, space.extended).persist()
            total = found.count()
            if total > most:
                found.unpersist()
                raise too_many_patterns(most)
        finally:
            encoded.unpersist()
        _logger.info("%d sequential patterns in %d parts", total, space.n_parts)
        if self._value(self.target) == "closed":
            closed = closed_patterns(found, every_subpattern=limits.max_gap is not None).persist()
            total = closed.count()
            found.unpersist()
            found = closed
        model = SequentialPatternsModel(
            tables={"patterns": found},
            content={
                "numSequences": n,
                "minCount": least,
                "numPatterns": total,
                "limits": [limits.min_gap, limits.max_gap, limits.max_span],
            },
        )
        return self._copyValues(model)

    def _limits(self) -> Limits:
        check_fraction("minSupport", self._value(self.minSupport))
        check_whole("minCount", self._value(self.minCount))
        check_whole("maxLength", self._value(self.maxLength))
        check_whole("maxPatterns", self._value(self.maxPatterns))
        target = self._value(self.target)
        if target not in _TARGETS:
            raise ConfigurationError(
                "invalid_param",
                f"target must be 'frequent' or 'closed'. Got {target!r}."
                f"{nearest(target, _TARGETS)}",
            )
        parse_size(self._value(self.memoryPerTask), "memoryPerTask")
        limits = Limits(
            self._value(self.maxLength),
            self._value(self.minGap),
            self._value(self.maxGap),
            self._value(self.maxSpan),
        )
        limits.check()
        return limits

    def _sequences(self, df: DataFrame) -> tuple[DataFrame, str]:
        """Return events without nulls and duplicates, times as doubles, and the items' type."""
        from pyspark.sql import functions as F

        events, item_type = events_of(df, self._value(self.sequenceCol))
        times = times_of(df, self._value(self.timesCol))
        rows = df.select(events.alias("events"), times.alias("times"))
        return rows.where(F.col("events").isNotNull()), item_type

    def _count_sequences(self, sequences: DataFrame) -> int:
        """Count the sequences; raise for invalid times."""
        from pyspark.sql import functions as F

        bad = F.lit(False)
        if self.isDefined(self.timesCol):
            pairs = F.greatest(F.size("times") - 1, F.lit(0))
            steps = F.zip_with(
                F.slice("times", 2, pairs), F.slice("times", 1, pairs), lambda b, a: b > a
            )
            bad = F.coalesce(
                (F.size("times") != F.size("events"))
                | ~F.forall(steps, lambda up: F.coalesce(up, F.lit(False)))
                | F.exists("times", lambda t: t.isNull() | F.isnan(t)),
                F.lit(True),
            )
        row = sequences.agg(F.count("*").alias("n"), F.sum(bad.cast("long")).alias("bad")).first()
        assert row is not None  # an aggregation always gives a row
        if not row["n"]:
            raise DataError("empty_data", "There are no sequences: the data has no rows.")
        if row["bad"]:
            raise DataError(
                "bad_times",
                f"{row['bad']:,} sequences do not have one time, later than the last, for each "
                "event.",
                "Sort the events and merge those of one time; event_sequences does both.",
            )
        return int(row["n"])
