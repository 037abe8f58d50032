"""Filters of the templates: numbers, dates, shares and texts as shown on pages."""

from __future__ import annotations

import datetime
import math

__all__ = ["amount", "decimals", "fact", "memory", "number", "place", "score", "share", "shortened"]


def shortened(text: str, most: int = 300) -> str:
    """Return a text, truncated if it is longer than `most` characters."""
    return text if len(text) <= most else text[:most] + "…"


def amount(value: float) -> str:
    """Return a count as a whole number, and a share with three decimals."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def decimals(value: float) -> str:
    """Return a distance or a score with three decimals; small positive values become "<0.001"."""
    return "<0.001" if 0 < value < 0.0005 else f"{value:.3f}"


def fact(value: object) -> str:
    """Return a setting or a fact: a number with few digits, anything else as up to 500 letters."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value)
    return shortened(str(value), 500)


def score(value: float | None) -> str:
    """Return a score with four digits after the point, fewer where it is large."""
    if value is None or not math.isfinite(value):
        return "–"
    if abs(value) >= 1e6 or 0 < abs(value) < 5e-5:
        return f"{value:.3g}"
    return f"{value:,.4f}" if abs(value) < 10 else f"{value:,.4g}"


def memory(size: float) -> str:
    """Return a number of bytes with its binary unit, such as ``1.5 MiB``."""
    power = 0
    while size >= 1024 and power < 4:
        size, power = size / 1024, power + 1
    unit = ("bytes", "KiB", "MiB", "GiB", "TiB")[power]
    return f"{size:,.3g} {unit}" if size < 1000 else f"{size:,.0f} {unit}"


def number(value: float | None) -> str:
    """Return a number with few digits, or a dash if there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if size < 1e12 and (size >= 1e3 or value == int(value)):
        return f"{value:,.0f}"
    return f"{value:.4g}" if size >= 1e-3 else f"{value:.3g}"


def place(value: float | None, kind: str) -> str:
    """Return a value of a numeric, date or time column, the latter two as ISO 8601."""
    if value is not None and kind in ("date", "timestamp"):
        epoch = datetime.datetime(1970, 1, 1)
        try:
            if kind == "date":
                return (epoch + datetime.timedelta(days=value)).date().isoformat()
            return (epoch + datetime.timedelta(seconds=value)).isoformat(" ", "seconds")
        except OverflowError:
            return number(value)
    return number(value)


def share(part: float, whole: float = 1.0) -> str:
    """Return a share in per cent; only exact 0 and 1 are shown as 0% and 100%."""
    if not whole:
        return "–"
    if not part:
        return "0%"
    found = 100 * part / whole
    if found < 0.1:
        return "<0.1%"
    return f"{min(found, 99.9) if part < whole else found:.3g}%"
