"""Event times as numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import Column

__all__ = ["seconds_of"]


def seconds_of(kind: Any) -> Callable[[Column], Column]:
    """Return the function from dates or timestamps to seconds since 1970, as doubles.

    Dates and timestamps without a zone count days of 24 hours, whatever the session's time zone and
    its daylight-saving time.

    Parameters
    ----------
    kind : pyspark.sql.types.DataType
        ``DateType``, ``TimestampNTZType`` or ``TimestampType``.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import TimestampType

    def seconds(time: Column) -> Column:
        if isinstance(kind, TimestampType):
            return time.cast("double")
        days = F.unix_date(time.cast("date")).cast("double")
        clock = time.cast("timestamp_ntz")
        minutes = F.hour(clock) * 60 + F.minute(clock)
        return days * 86400.0 + minutes * 60 + F.date_part(F.lit("SECOND"), clock).cast("double")

    return seconds
