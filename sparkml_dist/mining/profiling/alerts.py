"""Alerts: properties of a column that deserve attention."""

from __future__ import annotations

from typing import Any

__all__ = ["alerts"]

_MANY_MISSING = 0.5
_FEW_FOR_A_KEY = 20
_SKEWED = 10.0


def alerts(column: dict[str, Any], leak_above: float) -> list[str]:
    """Return the alerts of a column, as phrases.

    Parameters
    ----------
    column : dict
        A column of a `Profile`.
    leak_above : float
        Score from which a column is reported as a possible leak.
    """
    found = []
    rows, count = column["rows"], column["count"]
    leak = column.get("leak")
    if leak and leak["score"] >= leak_above:
        what = "being missing" if leak["by"] == "missing" else "its value"
        found.append(f"may leak the target: {what} alone scores {leak['score']:.3f}")
    if rows and not count:
        found.append("has no values")
    elif rows and column["missing"] / rows >= _MANY_MISSING:
        found.append(f"{column['missing'] / rows:.0%} missing")
    distinct = column.get("distinct")
    if distinct == 1 and column.get("distinct_is_exact") and not column.get("nan"):
        found.append("is constant")
    elif distinct is not None and _may_be_key(column, distinct, count):
        found.append("nearly all values are distinct: a key?")
    if column.get("nan"):
        found.append(f"{column['nan']:,} NaN")
    if column.get("infinite"):
        found.append(f"{column['infinite']:,} infinite")
    skewness = column.get("skewness")
    if skewness is not None and abs(skewness) > _SKEWED:
        found.append(f"very skewed ({skewness:.1f})")
    return found


def _may_be_key(column: dict[str, Any], distinct: int, count: int) -> bool:
    identifies = column["kind"] in ("text", "binary") or "int" in column["type"]
    return identifies and count >= _FEW_FOR_A_KEY and distinct >= 0.98 * count
