"""The columns of sequences and their times, cleaned for mining."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.errors import DataError
from sparkml_dist.mining.estimator import check_column
from sparkml_dist.mining.sequences.event_times import seconds_of

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["events_of", "times_of"]


def events_of(df: DataFrame, name: str) -> tuple[Column, str]:
    """Return the column of events without nulls and duplicates, and the items' type.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    name : str
        Column of arrays of events, or of items: one item for each event.

    Raises
    ------
    DataError
        ``column_not_found`` or ``column_type``.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import ArrayType

    kind = check_column(df, name, "sequences")
    if not isinstance(kind, ArrayType):
        raise DataError(
            "column_type",
            f"The column {name!r} must be an array of events (arrays of items) or of items. "
            f"Got {kind.simpleString()}.",
            "event_sequences makes such a column from an event table.",
        )
    events, inner = named_column(name), kind.elementType
    if isinstance(inner, ArrayType):
        item: Any = inner.elementType
    else:
        item, events = inner, F.transform(events, lambda x: F.array(x))  # noqa: PLW0108
    clean = F.transform(
        events, lambda e: F.coalesce(F.array_distinct(F.array_compact(e)), F.array())
    )
    return clean, str(item.simpleString())


def times_of(df: DataFrame, name: str | None) -> Column:
    """Return the column of event times as doubles; null where no column is named.

    Raises
    ------
    DataError
        ``column_not_found`` or ``column_type``.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import (
        ArrayType,
        DateType,
        NumericType,
        TimestampNTZType,
        TimestampType,
    )

    if name is None:
        return F.lit(None).cast("array<double>")
    time: Any = check_column(df, name, "times")
    element = time.elementType if isinstance(time, ArrayType) else None
    if isinstance(element, DateType | TimestampNTZType | TimestampType):
        return F.transform(named_column(name), seconds_of(element))
    if isinstance(element, NumericType):
        return named_column(name).cast("array<double>")
    raise DataError(
        "column_type",
        f"The column {name!r} must be an array of numbers, timestamps or dates. "
        f"Got {time.simpleString()}.",
    )
