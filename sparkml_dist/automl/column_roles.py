"""What becomes of each column of a table, by its profile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sparkml_dist.automl.table_column import Role

__all__ = ["Decision", "decide", "is_skewed", "is_worded"]

#: Words of a value on average, from which a column of many values holds texts.
_WORDS = 3.0
#: Share of distinct values from which a column may identify rows, and its least number of values.
_DISTINCT, _FEW = 0.98, 20
#: Categories that `partition` takes, less the error of their estimated number.
_MOST_CATEGORIES = 9_000
#: A number is skewed, or its tails are heavy, from here on (0 and 0 are those of a normal one).
_SKEWNESS, _KURTOSIS, _FEW_VALUES = 3.0, 20.0, 10
_NAMED_ID = "identifies rows: its values are distinct, and it is named like a key"
_ID_NAME = re.compile(r"(^|[^a-z])(id|ids|key|uuid|guid|index|rownum|row_number)$|[a-z](Id|ID)$")


@dataclass(frozen=True)
class Decision:
    """What becomes of a column: a role, or else the reason for which it is dropped."""

    role: Role | None
    reason: str = ""


def is_worded(column: Mapping[str, Any], most_categories: int) -> bool:
    """Tell whether a column of strings has so many values that they may be texts.

    Parameters
    ----------
    column : mapping
        A column of a `Profile`.
    most_categories : int
        Values beyond which strings of several words are texts.
    """
    distinct, count = column.get("distinct", 0), column["count"]
    return bool(column["kind"] == "text" and distinct > min(most_categories, count / 2))


def decide(
    column: Mapping[str, Any], kind: str, words: float | None, forced: Role | None
) -> Decision:
    """Decide what becomes of a column.

    Parameters
    ----------
    column : mapping
        A column of a `Profile`.
    kind : {"number", "string", "date", "timestamp", "vector"}
        Of its type.
    words : float or None
        Mean number of words, of strings that `is_worded` tells.
    forced : {"category", "text"} or None
        What the user says that it is.
    """
    unknown = column.get("nan", 0) + column.get("infinite", 0)
    present = column["count"] - (unknown if kind == "number" else 0)
    if not present:
        return Decision(None, "has no values")
    if kind == "vector":
        return Decision("vector")
    single = column.get("distinct") == 1 and column.get("distinct_is_exact")
    if single and not column["missing"] and not unknown:
        return Decision(None, "is constant")
    if forced is not None:
        return Decision(forced)
    if kind == "string":
        return _of_strings(column, words)
    reason = _of_rows(column) if kind == "number" else ""
    if reason:
        return Decision(None, reason)
    return Decision({"date": "date", "timestamp": "timestamp"}.get(kind, "number"))  # type: ignore[arg-type]


def _of_strings(column: Mapping[str, Any], words: float | None) -> Decision:
    distinct, count = column["distinct"], column["count"]
    if words is not None and words >= _WORDS:
        return Decision("text")
    if count >= _FEW and distinct >= _DISTINCT * count:
        return Decision(None, "identifies rows: nearly all of its values are distinct")
    # More values than `partition` takes as categories are hashed like words.
    return Decision("category" if distinct <= _MOST_CATEGORIES else "text")


def _of_rows(column: Mapping[str, Any]) -> str:
    """Return the reason for which whole numbers say nothing but which row it is; else ""."""
    count, distinct = column["count"], column["distinct"]
    whole = "int" in column["type"] or re.fullmatch(r"decimal\(\d+,0\)", column["type"])
    if not whole or count < _FEW or distinct < _DISTINCT * count:
        return ""
    if column["max"] - column["min"] + 1 <= 1.02 * count:
        return "numbers the rows"
    return _NAMED_ID if _ID_NAME.search(column["name"]) else ""


def is_skewed(column: Mapping[str, Any]) -> bool:
    """Tell whether a number's tails are heavy, so that its mean and deviation say little."""
    if column.get("distinct", 0) <= _FEW_VALUES:  # a rare value is no tail
        return False
    skewness, kurtosis = column.get("skewness"), column.get("kurtosis")
    return bool(
        (skewness is not None and abs(skewness) > _SKEWNESS)
        or (kurtosis is not None and kurtosis > _KURTOSIS)
    )
