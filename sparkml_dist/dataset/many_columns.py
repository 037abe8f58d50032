"""Expressions of many columns of a DataFrame at once.

PySpark calls the JVM several times for each `Column` and each function of it, 0.7 ms together. A
name costs one call, and a column within an SQL expression none.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pyspark.sql import Column

__all__ = ["literal", "named_column", "number_array", "quoted"]


def quoted(names: Iterable[str]) -> list[str]:
    """Return column names quoted for Spark's functions, with any characters."""
    return ["`" + name.replace("`", "``") + "`" for name in names]


def named_column(name: str) -> Column:
    """Return a column by its name, which may have any characters."""
    from pyspark.sql import functions as F

    return F.col(quoted([name])[0])


def literal(text: str) -> str:
    """Return a text as an SQL literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def number_array(
    names: Sequence[str], kind: Literal["float", "double"], *, null_is_nan: bool = False
) -> Column:
    """Return an array column of the values of numeric columns.

    Parameters
    ----------
    names : sequence of str
    kind : {"float", "double"}
    null_is_nan : bool, default=False
        Whether nulls become NaN.
    """
    from pyspark.sql import functions as F

    values = [f"cast({name} as {kind})" for name in quoted(names)]
    if null_is_nan:
        values = [f"coalesce({value}, cast('NaN' as {kind}))" for value in values]
    return F.expr(f"array({', '.join(values)})")
