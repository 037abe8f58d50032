"""The first rows of a mined table, as notebooks show them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sparkml_dist.html.values import shortened

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["listed", "top_rows"]

#: Beyond it, to find the first rows takes longer than a cell should.
MOST_SORTED = 1_000_000


def listed(items: Any) -> str:
    """Return items as a line, and the elements of a sequence between arrows."""
    if items and isinstance(items[0], list):
        return " → ".join(f"{{{listed(element)}}}" for element in items)
    return ", ".join(map(str, items))


def top_rows(
    df: DataFrame, by: str, text: Callable[[Any], str], *, n: int = 10, total: int = 0
) -> list[tuple[str, Any]]:
    """Return the texts of the `n` rows with the largest values of a column, and these.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    by : str
        The column, of numbers; equal ones are ordered by the other columns.
    text : callable
        ``text(row)``.
    n : int, default=10
    total : int, default=0
        Number of rows, if it is known: of more than a million, none are returned.
    """
    from pyspark.sql import functions as F

    if total > MOST_SORTED:
        return []
    others = [name for name, kind in df.dtypes if kind.startswith("array") and "map" not in kind]
    rows = df.orderBy(F.desc(by), *others).limit(n).collect()
    return [(shortened(text(row), 120), row[by]) for row in rows if row[by] is not None]
