"""Regular expressions for lines with quoted fields, valid in both Java and Python."""

from __future__ import annotations

import re

from sparkml_dist.dataset.many_columns import literal

__all__ = ["DOUBLED", "ESCAPED", "blank_before_quote", "closing", "opening", "unquoted", "whole"]

# Within quotes, a quote is written as "" (spreadsheets, pandas, R) or as \" (Spark). All
# repetitions are possessive: without backtracking, a field of megabytes needs no stack.
DOUBLED = r'"[^"]*+(?:""[^"]*+)*+'
ESCAPED = r'"[^"\\]*+(?:\\[\s\S][^"\\]*+)*+'

_ESCAPED_SIGN = r'\\(["\\])'


def whole(style: str, delimiter: str, blanks: str = "[ ]*+") -> str:
    """Return the pattern of a line whose fields are complete; unquoted ones have no quotes.

    Parameters
    ----------
    style : str
        `DOUBLED` or `ESCAPED`.
    delimiter : str
        One character.
    blanks : str
        Pattern of blanks before an opening quote.
    """
    mark = re.escape(delimiter)
    field = rf'(?:{blanks}{style}"[ ]*+|[^"{mark}]*+)'
    return rf"^{field}(?:{mark}{field})*+$"


def opening(style: str, delimiter: str) -> str:
    """Return the pattern of a line whose last field is quoted and continues in the next line."""
    mark = re.escape(delimiter)
    field = rf'(?:[ ]*+{style}"[ ]*+|(?![ ]*+")[^{mark}]*+)'
    return rf"^(?:{field}{mark})*+[ ]*+{style}$"


def closing(delimiter: str) -> str:
    """Return the pattern of a line that begins inside a quoted field and closes it."""
    return rf'^[^"]*+(?:""[^"]*+)*+"[ ]*+(?:{re.escape(delimiter)}|$)'


def blank_before_quote(delimiter: str) -> str:
    """Return the pattern of a line with a blank between a delimiter and a quote."""
    return rf'(?:^|{re.escape(delimiter)})[ ]+"'


def unquoted(field: str, style: str) -> str:
    """Return SQL for a field without surrounding quotes.

    Parameters
    ----------
    field : str
        SQL.
    style : str
        `DOUBLED` or `ESCAPED`.
    """
    inner = f"substr({field}, 2, length({field}) - 2)"
    inner = (
        f"""replace({inner}, '""', '"')"""
        if style == DOUBLED
        else f"regexp_replace({inner}, {literal(_ESCAPED_SIGN)}, '$1')"
    )
    is_quoted = f"""{field} LIKE '"%"' AND length({field}) > 1"""
    return f"CASE WHEN {is_quoted} THEN {inner} ELSE {field} END"
