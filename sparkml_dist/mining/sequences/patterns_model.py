"""The model of sequential patterns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasPredictionCol

from sparkml_dist.html.summary import Row
from sparkml_dist.mining.sequences.event_columns import events_of, times_of
from sparkml_dist.mining.support_score import with_support_score
from sparkml_dist.mining.table_model import TableModel
from sparkml_dist.mining.top_rows import listed, top_rows
from sparkml_dist.params import param
from sparkml_dist.report.plots.bars import plot_bars
from sparkml_dist.report.plots.figure import figure_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pyspark.sql import Column, DataFrame

__all__ = ["SequentialPatternsModel"]


class SequentialPatternsModel(TableModel, HasPredictionCol):
    """Sequential patterns as a DataFrame.

    Attributes
    ----------
    patterns : pyspark.sql.DataFrame
        ``sequence`` (array of elements, each an array of items), ``count`` (sequences that contain
        it), ``support``.
    numSequences : int
        Sequences that were mined.
    """

    sequenceCol: Any = param("sequenceCol", "column of sequences", TypeConverters.toString)
    timesCol: Any = param(
        "timesCol", "array column with the time of each event", TypeConverters.toString
    )

    _table_names: ClassVar[tuple[str, ...]] = ("patterns",)
    _defaults: ClassVar[dict[str, Any]] = {"sequenceCol": "sequence", "predictionCol": "prediction"}

    @property
    def patterns(self) -> DataFrame:
        """The patterns."""
        return self.tables["patterns"]

    @property
    def numSequences(self) -> int:
        """Sequences that were mined."""
        return int(self.content["numSequences"])

    def _top(self) -> Iterator[Row]:
        yield Row("most frequent", quiet="of two and more items", shares=self._most_frequent(10))

    def _most_frequent(self, n: int) -> list[tuple[str, Any]]:
        return top_rows(
            self.patterns.where("size(flatten(sequence)) > 1"),
            "count",
            lambda row: listed(row["sequence"]),
            n=n,
            total=int(self.content["numPatterns"]),
        )

    def plot(self) -> Figure:
        """Draw the counts of the 20 most frequent patterns of several items, which a job reads.

        Returns
        -------
        matplotlib.figure.Figure
        """
        values = dict(self._most_frequent(20))
        return figure_of(
            lambda folder: plot_bars(
                values, folder, "patterns.png", title="Most frequent patterns", x="sequences"
            )
        )

    def unpersist(self) -> SequentialPatternsModel:
        """Free Spark's storage of the patterns; they are computed again when they are used."""
        self.patterns.unpersist()
        return self

    def _transform(self, dataset: DataFrame) -> DataFrame:
        """Add the share of the patterns' support that each sequence contains: low for unusual ones.

        Parameters
        ----------
        dataset : pyspark.sql.DataFrame
            With sequenceCol, and timesCol if the fit used it.

        Returns
        -------
        pyspark.sql.DataFrame
            With predictionCol, a double: the summed support of the patterns that the sequence
            contains, over the number of all patterns.

        Raises
        ------
        DataError
            ``column_not_found``, ``column_type`` or ``stream_not_supported``.
        """
        from pyspark.sql import functions as F

        events, _ = events_of(dataset, self._value(self.sequenceCol))
        times = times_of(dataset, self._value(self.timesCol))
        events = events.cast(self.patterns.schema["sequence"].dataType)
        row = F.when(events.isNotNull(), F.struct(events.alias("events"), times.alias("times")))
        pattern = F.col("sequence")
        return with_support_score(
            dataset,
            row,
            lambda one: F.array_distinct(F.flatten(one["events"])),
            self.patterns.select(
                pattern.alias("pattern"), pattern[0][0].alias("anchor"), "support"
            ),
            int(self.content["numPatterns"]),
            partial(_holds, timed=self.isDefined(self.timesCol), limits=self.content["limits"]),
            self._value(self.predictionCol),
        )


def _holds(row: Column, pattern: Column, *, timed: bool, limits: Sequence[float | None]) -> Column:
    """Return whether a sequence contains a pattern, by the matches that each element reaches."""
    from pyspark.sql import functions as F

    events = row["events"]
    places = F.sequence(F.lit(0), F.size(events) - 1)
    min_gap, max_gap, max_span = limits

    def between(first: Column, second: Column) -> Column:
        if timed:
            return F.get(row["times"], second) - F.get(row["times"], first)
        return (second - first).cast("double")

    def fits(element: Column, place: Column) -> Column:
        return F.size(F.array_except(element, F.get(events, place))) == 0

    def from_(start: Column) -> Column:
        def near(before: Column, place: Column) -> Column:
            found = before < place
            if min_gap is not None:
                found = found & (between(before, place) >= min_gap)
            if max_gap is not None:
                found = found & (between(before, place) <= max_gap)
            return found

        def reached(before: Column, element: Column) -> Column:
            def after(place: Column) -> Column:
                found = fits(element, place) & F.exists(before, lambda b: near(b, place))
                return found if max_span is None else found & (between(start, place) <= max_span)

            return F.filter(places, after)

        rest = F.slice(pattern, 2, F.size(pattern))
        return fits(pattern[0], start) & (F.size(F.aggregate(rest, F.array(start), reached)) > 0)

    return F.exists(places, from_)
