"""Baskets of an entity's items within a window of time, from an event table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.mining.estimator import check_column

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["windowed_baskets"]

Duration = float | str


def windowed_baskets(
    events: DataFrame,
    *,
    entity: str,
    time: str,
    item: str,
    window: Duration | None = None,
    slide: Duration | None = None,
    session_gap: Duration | None = None,
) -> DataFrame:
    """Return the items of each entity within each window of time, or session.

    Parameters
    ----------
    events : pyspark.sql.DataFrame
        One event per row. Rows without entity, time or item are left out.
    entity, time, item : str
        Its columns. Time is a timestamp, a date or a number.
    window : float or str, optional
        Length of the windows [start, start + window): an interval like ``"1 hour"`` for
        timestamps and dates, a number for numbers. Windows start at multiples of `slide` (for
        timestamps: since 1970 in UTC; for dates and times without a zone: since that day).
    slide : float or str, optional
        Time from the start of a window to that of the next; at most `window`, its default.
    session_gap : float or str, optional
        In place of `window`: a session ends where no event follows within this time (inclusive).
        Its end is the last event's time plus the gap.

    Returns
    -------
    pyspark.sql.DataFrame
        The entity's column, ``start``, ``end`` (timestamps without a zone where times are dates)
        and ``items``, distinct and ascending; windows without events have no row. Computed lazily.

    Raises
    ------
    DataError
        ``column_not_found`` or ``column_type``.
    ConfigurationError
        ``conflicting_params`` or ``invalid_param``.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import DateType, NumericType, TimestampNTZType, TimestampType

    for name, role in ((entity, "entity"), (item, "item")):
        check_column(events, name, role)
    kind = check_column(events, time, "time")
    if (window is None) == (session_gap is None) or (window is None and slide is not None):
        raise ConfigurationError(
            "conflicting_params",
            "Give either window (and slide, if windows overlap) or session_gap.",
            'For example window="1 day", or session_gap="30 minutes".',
        )
    columns = [named_column(c).alias(a) for c, a in ((entity, "e"), (time, "t"), (item, "i"))]
    rows = events.select(*columns).dropna()
    if isinstance(kind, DateType | TimestampNTZType | TimestampType):
        if isinstance(kind, DateType):
            # A date has no zone, and in some zones a day has 23 hours, or no midnight.
            rows = rows.withColumn("t", F.col("t").cast("timestamp_ntz"))
        named = [("window", window), ("slide", slide), ("session_gap", session_gap)]
        for name, value in named:
            if value is not None and not isinstance(value, str):
                raise _invalid(name, value, "an interval like '1 hour' for timestamps or dates")
        if window is not None:
            placed = F.window("t", str(window), str(slide) if slide else None)
        else:
            placed = F.session_window("t", str(session_gap))
        grouped = rows.groupBy("e", placed.alias("w")).agg(_items())
        spans = grouped.select("e", F.col("w.start"), F.col("w.end"), "items")
    elif isinstance(kind, NumericType):
        rows = _numeric(rows, window, slide, session_gap)
        spans = rows.groupBy("e", "start").agg(F.max("end").alias("end"), _items())
    else:
        raise DataError(
            "column_type",
            f"The time column {time!r} must be a timestamp, a date or a number. "
            f"Got {kind.simpleString()}.",
        )
    return spans.withColumnRenamed("e", entity)


def _items() -> Column:
    from pyspark.sql import functions as F

    return F.array_sort(F.collect_set("i")).alias("items")


def _numeric(
    rows: DataFrame,
    window: Duration | None,
    slide: Duration | None,
    session_gap: Duration | None,
) -> DataFrame:
    """Give each row the ``start`` and ``end`` of its windows, or of its session so far."""
    from pyspark.sql import functions as F
    from pyspark.sql.window import Window

    values = {"window": window, "slide": slide, "session_gap": session_gap}
    for name, value in values.items():
        if value is not None and (isinstance(value, str) or not 0 < value < math.inf):
            raise _invalid(name, value, "a positive number where times are numbers")
    if session_gap is not None:
        ordered = Window.partitionBy("e").orderBy("t")
        new = F.coalesce(F.col("t") - F.lag("t").over(ordered) > F.lit(session_gap), F.lit(True))
        begun = rows.withColumn("new", F.when(new, F.col("t")))
        start = F.last("new", ignorenulls=True).over(ordered)
        return begun.select(
            "e", "i", start.alias("start"), (F.col("t") + F.lit(session_gap)).alias("end")
        )
    step: float = slide if slide is not None else window  # type: ignore[assignment]
    if step > window:  # type: ignore[operator]
        raise _invalid("slide", slide, f"at most the window ({window!r})")
    last = F.floor(F.col("t") / F.lit(step))
    back = F.explode(F.sequence(F.lit(0), F.lit(math.ceil(window / step) - 1)))  # type: ignore[operator]
    started = rows.withColumn("back", back).withColumn(
        "start", (last - F.col("back")) * F.lit(step)
    )
    end = F.col("start") + F.lit(window)
    return started.withColumn("end", end).where(F.col("t") < F.col("end"))


def _invalid(name: str, value: object, wanted: str) -> ConfigurationError:
    return ConfigurationError("invalid_param", f"{name} must be {wanted}. Got {value!r}.")
