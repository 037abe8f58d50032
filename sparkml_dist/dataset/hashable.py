"""Converts columns of any type to types that Spark can hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import DataType

__all__ = ["hashable", "needs_conversion"]


def hashable(column: Column, kind: DataType) -> Column:
    """Return a column that Spark can hash, equal where `column` is equal.

    Spark does not hash maps, because equal maps may order their entries differently. Here entries
    are sorted by key. Types without maps and variants are returned unchanged.

    Parameters
    ----------
    column : pyspark.sql.Column
    kind : pyspark.sql.types.DataType
        Type of `column`.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import ArrayType, MapType, StructType, VariantType

    if not needs_conversion(kind):
        return column
    if isinstance(kind, VariantType):
        return F.to_json(column)
    if isinstance(kind, StructType):
        # The fields of a null struct are null, but it differs from a struct of nulls.
        fields = [hashable(column[f.name], f.dataType) for f in kind.fields]
        return F.when(column.isNotNull(), F.struct(*fields))
    if isinstance(kind, ArrayType):
        return F.transform(column, lambda item: hashable(item, kind.elementType))
    assert isinstance(kind, MapType)
    keys = F.array_sort(F.map_keys(column))
    return F.transform(keys, lambda key: F.struct(key, hashable(column[key], kind.valueType)))


def needs_conversion(kind: DataType) -> bool:
    """Tell whether Spark cannot hash a type directly."""
    from pyspark.sql.types import ArrayType, MapType, StructType, VariantType

    if isinstance(kind, ArrayType):
        return needs_conversion(kind.elementType)
    if isinstance(kind, StructType):
        return any(needs_conversion(field.dataType) for field in kind.fields)
    return isinstance(kind, MapType | VariantType)
