"""The treatment of each column: whether its values are counted and measured, and their unit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkml_dist.errors import DataError, nearest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType

__all__ = ["ColumnPlan", "check_table", "countable", "find_column"]

#: Kinds of numeric values: they have moments, quantiles and histograms.
MEASURED = frozenset({"number", "boolean", "date", "timestamp", "lengths"})
#: Kinds whose distinct and frequent values are counted.
COUNTED = frozenset({"number", "boolean", "date", "timestamp", "text", "binary"})
# A name that Spark does not parse as a path, and that needs no quotes.
_PLAIN = re.compile(r"\w+").fullmatch


@dataclass(frozen=True)
class ColumnPlan:
    """One column of the table.

    Attributes
    ----------
    index : int
        Its position; names need not be unique.
    name, type : str
        Its name, and Spark's name of its type.
    kind : str
        ``number``, ``boolean``, ``date``, ``timestamp``, ``text``, ``binary``, ``lengths`` (of
        arrays and maps) or ``nested`` (anything else: only missing values are counted).
    """

    index: int
    name: str
    type: str
    kind: str

    @property
    def is_measured(self) -> bool:
        """Whether it has moments, quantiles and a histogram."""
        return self.kind in MEASURED

    @property
    def is_counted(self) -> bool:
        """Whether its distinct and frequent values are counted."""
        return self.kind in COUNTED


def check_table(df: DataFrame) -> list[ColumnPlan]:
    """Return the plans of all columns.

    Raises
    ------
    DataError
        ``no_columns``.
    """
    fields = df.schema.fields
    if not fields:
        raise DataError(
            "no_columns", "The table has no columns.", "Select some columns before profiling it."
        )
    return [
        ColumnPlan(i, f.name, f.dataType.simpleString(), _kind(f.dataType))
        for i, f in enumerate(fields)
    ]


def find_column(plans: list[ColumnPlan], name: str, role: str) -> ColumnPlan:
    """Return the plan of the one column of a name.

    Raises
    ------
    DataError
        ``column_not_found`` or ``duplicate_columns``.
    """
    found = [p for p in plans if p.name == name]
    if not found:
        names = [p.name for p in plans]
        raise DataError(
            "column_not_found",
            f"There is no column {name!r} ({role}).{nearest(name, names)}",
            f"The columns are: {', '.join(names[:20])}{', …' if len(names) > 20 else ''}.",
        )
    if len(found) > 1:
        raise DataError(
            "duplicate_columns",
            f"{len(found)} columns are named {name!r} ({role}).",
            "Rename all but one of them.",
        )
    return found[0]


def countable(df: DataFrame, plans: list[ColumnPlan]) -> DataFrame:
    """Return the columns in their order, cast to types that can be counted or measured.

    Names that Spark could parse as a path are replaced.
    """
    from pyspark.sql import functions as F

    names = list(df.columns)
    if len({name.lower() for name in names}) < len(names) or not all(map(_PLAIN, names)):
        names = [f"c{plan.index}" for plan in plans]
        df = df.toDF(*names)
    # Only columns that change are projected: with thousands of columns, a call to the JVM for each
    # and Spark's planning take seconds.
    changed = {}
    for plan, name in zip(plans, names, strict=True):
        if plan.kind == "lengths":
            changed[name] = F.when(F.col(name).isNotNull(), F.size(name))
        elif plan.kind == "nested":
            changed[name] = F.when(F.col(name).isNotNull(), F.lit(True))
        elif plan.kind == "text" and plan.type != "string":
            changed[name] = F.col(name).cast("string")
    return df.withColumns(changed) if changed else df


def _kind(data_type: DataType) -> str:
    from pyspark.sql import types as T

    if isinstance(data_type, T.BooleanType):
        return "boolean"
    if isinstance(data_type, T.NumericType):
        return "number"
    if isinstance(data_type, T.DateType):
        return "date"
    if isinstance(data_type, T.TimestampType | T.TimestampNTZType):
        return "timestamp"
    if isinstance(data_type, T.BinaryType):
        return "binary"
    if isinstance(data_type, T.ArrayType | T.MapType):
        return "lengths"
    if isinstance(data_type, T.StructType | T.UserDefinedType | T.VariantType):
        return "nested"
    return "text"
