"""Sequences from an event table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.errors import DataError
from sparkml_dist.mining.estimator import check_column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["event_sequences"]


def event_sequences(events: DataFrame, *, entity: str, time: str, item: str) -> DataFrame:
    """Return each entity's events in order, as `SequentialPatterns` takes them.

    Parameters
    ----------
    events : pyspark.sql.DataFrame
        One item of an event per row; rows of one entity and time form one event. Rows without
        entity, time or item are left out.
    entity, time, item : str
        Its columns. Time is a timestamp, a date or a number.

    Returns
    -------
    pyspark.sql.DataFrame
        The entity's column, ``sequence`` (array of events, each an ascending array of distinct
        items) and ``times`` (array, strictly ascending). Computed lazily.

    Raises
    ------
    DataError
        ``column_not_found`` or ``column_type``.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import DateType, NumericType, TimestampNTZType, TimestampType

    for name, role in ((entity, "entity"), (item, "item")):
        check_column(events, name, role)
    kind = check_column(events, time, "time")
    if not isinstance(kind, DateType | NumericType | TimestampNTZType | TimestampType):
        raise DataError(
            "column_type",
            f"The time column {time!r} must be a timestamp, a date or a number. "
            f"Got {kind.simpleString()}.",
        )
    columns = [named_column(c).alias(a) for c, a in ((entity, "e"), (time, "t"), (item, "i"))]
    together = (
        events.select(*columns)
        .dropna()
        .groupBy("e", "t")
        .agg(F.array_sort(F.collect_set("i")).alias("items"))
    )
    ordered = F.array_sort(F.collect_list(F.struct("t", "items")))
    sequences = together.groupBy("e").agg(ordered.alias("s"))
    return sequences.select(
        F.col("e").alias(entity), F.col("s.items").alias("sequence"), F.col("s.t").alias("times")
    )
