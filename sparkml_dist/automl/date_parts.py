"""Parts of dates and times as SQL expressions, which do not depend on the session's time zone."""

from __future__ import annotations

from typing import Literal

from sparkml_dist.dataset.many_columns import literal

__all__ = ["CYCLES", "PARTS", "DateKind", "date_part"]

DateKind = Literal["date", "timestamp", "timestamp_ntz"]
PARTS = ("year", "month", "weekday", "hour", "days")
#: Parts that begin again.
CYCLES = ("month", "weekday", "hour")

_DAY = 86_400_000_000
_HOUR = 3_600_000_000


def date_part(source: str, kind: DateKind, part: str, zone: str, origin: int) -> str:
    """Return an SQL expression of type double; null where the date is.

    Parameters
    ----------
    source : str
        SQL expression of the date or time.
    kind : {"date", "timestamp", "timestamp_ntz"}
        Its type.
    part : {"year", "month", "weekday", "hour", "days"}
        ``weekday`` is 0 on Mondays, as in Python; ``days`` counts days from `origin`, with the
        time of the day as a fraction.
    zone : str
        Time zone in which a ``timestamp`` is read. A ``timestamp_ntz`` has none, and is taken as
        it is written.
    origin : int
        Days since 1970.
    """
    if kind == "date":
        day, seconds = f"unix_date({source})", "0"
        hour = "0"
    elif kind == "timestamp_ntz":
        day = f"unix_date(cast({source} as date))"
        hour = f"hour({source})"
        seconds = f"({hour} * 3600 + minute({source}) * 60 + second({source}))"
    else:
        # Microseconds since 1970 by the clocks of the zone.
        local = f"unix_micros(from_utc_timestamp({source}, {literal(zone)}))"
        within = f"pmod({local}, {_DAY}L)"
        day = f"cast(({local} - {within}) div {_DAY}L as int)"
        hour = f"({within} div {_HOUR}L)"
        seconds = f"({within} div 1000000L)"
    if part == "days":
        return f"cast({day} - ({origin}) + {seconds} / 86400D as double)"
    if part == "hour":
        return f"cast({hour} as double)"
    return f"cast({part}(date_from_unix_date({day})) as double)"
