"""Columns of any type as ones that Spark can hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import DataType

__all__ = ["hashable", "needs_help"]


def hashable(column: Column, kind: DataType) -> Column:
    """Return a column that Spark can hash in place of one of any type.

    Spark does not hash maps: entries of equal maps may stand in any order. Here they stand in the
    order of their keys. What has no map in it is returned as it is.

    Parameters
    ----------
    column : pyspark.sql.Column
    kind : pyspark.sql.types.DataType
        Its type.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import ArrayType, MapType, StructType, VariantType

    if not needs_help(kind):
        return column
    if isinstance(kind, VariantType):
        return F.to_json(column)
    if isinstance(kind, StructType):
        # A struct that is null has null fields, but is no struct of nulls.
        fields = [hashable(column[f.name], f.dataType) for f in kind.fields]
        return F.when(column.isNotNull(), F.struct(*fields))
    if isinstance(kind, ArrayType):
        return F.transform(column, lambda item: hashable(item, kind.elementType))
    assert isinstance(kind, MapType)
    keys = F.array_sort(F.map_keys(column))
    return F.transform(keys, lambda key: F.struct(key, hashable(column[key], kind.valueType)))


def needs_help(kind: DataType) -> bool:
    """Tell whether Spark cannot hash a type as it is."""
    from pyspark.sql.types import ArrayType, MapType, StructType, VariantType

    if isinstance(kind, ArrayType):
        return needs_help(kind.elementType)
    if isinstance(kind, StructType):
        return any(needs_help(field.dataType) for field in kind.fields)
    return isinstance(kind, MapType | VariantType)
