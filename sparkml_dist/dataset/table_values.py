"""Columns of strings turned into numbers, truth values or trimmed strings."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["look_at", "present", "typed"]

_NUMBER = r"(?i)^[+-]?((\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|inf|infinity|nan)$"
_WHOLE = r"^[+-]?\d{1,15}(\.0*)?$"
_TRUTH = pa.array(["true", "false"])
_EXAMPLE = 60


def present(values: pa.Array, missing: Sequence[str]) -> pa.Array:
    """Trim a column of strings and make the markers of missing values null."""
    trimmed = pc.utf8_trim_whitespace(values)
    gone = pc.is_in(trimmed, value_set=pa.array(missing, pa.string()))
    return pc.if_else(gone, pa.scalar(None, pa.string()), trimmed)


def typed(values: pa.Array, kind: str, decimal: str = ".") -> pa.Array | None:
    """Turn trimmed strings into `kind`; None when one of them is no such thing.

    Parameters
    ----------
    values : pyarrow.Array of string
        As `present` returns them; nulls stay null.
    kind : {"number", "integer", "boolean", "string"}
    decimal : str, default="."
        Decimal mark.

    Returns
    -------
    pyarrow.Array of double, int64, bool or string, or None
    """
    if kind == "string":
        return values
    if kind == "boolean":
        lower = pc.utf8_lower(values)
        known = pc.is_in(lower.drop_null(), value_set=_TRUTH)
        return pc.equal(lower, "true") if known.false_count == 0 else None
    try:
        numbers = _as_points(values, decimal).cast(pa.float64())
        return numbers.cast(pa.int64()) if kind == "integer" else numbers
    except pa.ArrowInvalid:
        return None


def look_at(values: pa.Array, decimal: str = ".") -> tuple[list[int], str | None]:
    """Count the values that are not of each kind.

    Parameters
    ----------
    values : pyarrow.Array of string
        Trimmed, without nulls.
    decimal : str, default="."

    Returns
    -------
    counts : list of int
        Values; those that are no number, no whole number, neither true nor false.
    example : str or None
        A value that is no number.
    """
    n = len(values)
    if typed(values, "number", decimal) is not None:
        whole = pc.match_substring_regex(values, _WHOLE)
        return [n, 0, whole.false_count, n], None
    good = pc.match_substring_regex(_as_points(values, decimal), _NUMBER)
    truth = pc.is_in(pc.utf8_lower(values), value_set=_TRUTH)
    example = str(values.filter(pc.invert(good))[0])[:_EXAMPLE] if good.false_count else "?"
    return [n, max(1, good.false_count), n, truth.false_count], example


def _as_points(values: pa.Array, decimal: str) -> pa.Array:
    return values if decimal == "." else pc.replace_substring(values, decimal, ".")
