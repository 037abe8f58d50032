"""Many numeric columns of a DataFrame as one array column.

Spark plans a table of d columns in time d²: each column of a scan is compared with all others
whenever two plans are compared, and compiled expressions take memory in the same way. A cached
table takes 10,000 values' room for each column. Ten thousand columns as one array take none of it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["PACKED", "WIDE", "packed_columns", "packed_field", "packed_values", "unpacked_types"]

#: Name of the array column; the names of its columns are in its metadata.
PACKED = "_sparkml_dist_packed"
#: Columns from which on a table is packed.
WIDE = 256

_NAMES = "sparkml_dist.columns"
_PLACES = "sparkml_dist.places"  # of the other columns in the table


def packed_field(names: Sequence[str], columns: Sequence[str], kind: str) -> Any:
    """Return the field of an array column that holds the numeric columns `names`.

    Parameters
    ----------
    names : sequence of str
    columns : sequence of str
        All columns of the table, in order.
    kind : {"float", "double"}
        Type of the values; NaN where a column has null.
    """
    from pyspark.sql.types import ArrayType, DoubleType, FloatType, StructField

    packed = {*names}
    places = [[name, at] for at, name in enumerate(columns) if name not in packed]
    metadata = {_NAMES: list(names), _PLACES: json.dumps(places)}
    item = FloatType() if kind == "float" else DoubleType()
    return StructField(PACKED, ArrayType(item), metadata=metadata)


def packed_columns(df: DataFrame) -> tuple[str, ...]:
    """Return the names of the columns that a DataFrame holds as one array; usually none."""
    for field in df.schema.fields:
        if field.name == PACKED:
            return tuple(field.metadata.get(_NAMES, ()))
    return ()


def unpacked_types(df: DataFrame) -> dict[str, Any]:
    """Return the types of all columns by name, with those that are packed, in their order."""
    from pyspark.sql.types import ArrayType

    fields = {field.name: field for field in df.schema.fields}
    types = {name: field.dataType for name, field in fields.items()}
    names = list(packed_columns(df))
    if not names:
        return types
    array = types.pop(PACKED)
    assert isinstance(array, ArrayType)
    all_types = dict.fromkeys(names, array.elementType) | types
    for name, at in json.loads(fields[PACKED].metadata[_PLACES]):
        names.insert(at, name)
    ordered = {name: all_types[name] for name in names if name in all_types}
    return ordered | all_types  # columns that were added since come last


def packed_values(df: DataFrame, names: Sequence[str], kind: str) -> Column | None:
    """Return the array column with exactly the columns `names`; None unless they are packed.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    names : sequence of str
        In this order.
    kind : {"float", "double"}
    """
    from pyspark.sql import functions as F

    if not names or packed_columns(df) != tuple(names):
        return None
    return F.col(PACKED).cast(f"array<{kind}>")
