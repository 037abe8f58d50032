"""Assigns the roles of columns (features, label, weight, key) before any job runs."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from sparkml_dist.dataset.column_names import refuse_ambiguous
from sparkml_dist.dataset.labels import LabelKind
from sparkml_dist.dataset.packed_columns import unpacked_types
from sparkml_dist.errors import ConfigurationError, DataError, nearest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType, StructType

__all__ = ["ColumnPlan", "FeatureSource", "feature_sources", "match_columns", "resolve_columns"]

Task = Literal["classification", "regression"]
_BIGINT_DIGITS = 18  # a bigint holds every number of this many digits

SourceKind = Literal["numeric", "categorical", "array", "vector", "struct"]


@dataclass(frozen=True)
class FeatureSource:
    """A feature column of a DataFrame's schema; its width is not known yet."""

    name: str
    kind: SourceKind
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnPlan:
    """The roles of a DataFrame's columns.

    Attributes
    ----------
    features : tuple of FeatureSource
        In matrix order.
    label : str
    label_kind : {"integer", "number", "string", "boolean", "target"}
    weight : str or None
    key : tuple of str
        Identity columns; empty when a row's content identifies it.
    """

    features: tuple[FeatureSource, ...]
    label: str
    label_kind: LabelKind
    weight: str | None
    key: tuple[str, ...]


def resolve_columns(
    df: DataFrame,
    *,
    label: str,
    features: str | Sequence[str] | None = None,
    weight: str | None = None,
    key: str | Sequence[str] | None = None,
    categorical: Sequence[str] = (),
    task: Task = "classification",
) -> ColumnPlan:
    """Assign each column its role, from the schema alone.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        The data.
    label : str
        The label column.
    features : str or sequence of str, optional
        Names or glob patterns (``"x_*"``); all columns without another role by default.
    weight : str, optional
        Column of row weights.
    key : str or sequence of str, optional
        Columns that identify a row, or a group of rows that a split keeps together.
    categorical : sequence of str
        Names or patterns of feature columns that hold categories.
    task : {"classification", "regression"}

    Returns
    -------
    ColumnPlan

    Raises
    ------
    DataError
        ``column_not_found``, ``duplicate_columns``, ``non_numeric_feature``, ``no_features``,
        ``column_type``.
    ConfigurationError
        ``invalid_param``, ``column_twice``.
    """
    if task not in ("classification", "regression"):
        raise ConfigurationError(
            "invalid_param", f"task must be 'classification' or 'regression'. Got {task!r}."
        )
    schema = df.schema
    types = unpacked_types(df)
    keys = (key,) if isinstance(key, str) else tuple(key or ())
    for role, name in [("label", label), ("weight", weight), *(("key", k) for k in keys)]:
        if name is not None and name not in types:
            raise _not_found(role, name, types)
    reserved = {label, *keys} | ({weight} if weight else set())
    if weight is not None and weight == label:
        raise ConfigurationError("column_twice", f"{label!r} cannot be both label and weight.")
    pool = [name for name in types if name not in reserved]
    if features is None:
        chosen = pool
    else:
        patterns = [features] if isinstance(features, str) else list(features)
        chosen = match_columns("features", patterns, types)
        clash = [n for n in chosen if n in (label, weight)]
        if clash:
            named = [c for c in clash if c in patterns]
            if named:
                raise ConfigurationError(
                    "column_twice", f"{named[0]!r} cannot be both a feature and label or weight."
                )
            chosen = [n for n in chosen if n not in clash]
    if not chosen:
        raise DataError(
            "no_features",
            "No feature column is left besides the label, weight and key.",
            f"Columns are: {', '.join(types)}.",
        )
    refuse_ambiguous(df, [*chosen, label, *keys, *([weight] if weight else [])])
    as_category = (
        set(match_columns("categorical", list(categorical), types)) if categorical else set()
    )
    stray = sorted(as_category - set(chosen))
    if stray and features is not None and any(s in categorical for s in stray):
        raise ConfigurationError(
            "categorical_not_feature",
            f"categorical names {stray[0]!r}, which is not among the features.",
        )
    sources = tuple(_source(name, types[name], schema, name in as_category) for name in chosen)
    if weight is not None and not _is_number(types[weight]):
        raise DataError(
            "column_type",
            f"The weight column {weight!r} must be numeric. Got {types[weight].simpleString()}.",
        )
    return ColumnPlan(sources, label, _label_kind(label, types[label], task), weight, keys)


def feature_sources(df: DataFrame, names: Sequence[str]) -> tuple[FeatureSource, ...]:
    """Return feature columns of numbers, arrays or vectors, for a model without a label.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    names : sequence of str
        Existing columns, in matrix order.

    Raises
    ------
    DataError
        ``duplicate_columns`` or ``non_numeric_feature``.
    """
    refuse_ambiguous(df, names)
    schema = df.schema
    # `schema[name]` looks through all columns.
    types = {field.name: field.dataType for field in reversed(schema.fields)}
    return tuple(_source(name, types[name], schema, categorical=False) for name in names)


def _not_found(role: str, name: str, types: Iterable[str]) -> DataError:
    existing = list(types)
    shown = ", ".join(existing[:12]) + (", …" if len(existing) > 12 else "")
    return DataError(
        "column_not_found",
        f"There is no column {name!r} for {role}.{nearest(name, existing)}",
        f"Columns are: {shown}.",
    )


def match_columns(role: str, patterns: list[str], types: Collection[str]) -> list[str]:
    """Return the columns that the names or globs select, in the order of the schema."""
    selected: set[str] = set()
    known = {*types}
    for pattern in patterns:
        if pattern in known:
            found = [pattern]
        else:
            found = [name for name in types if fnmatch.fnmatchcase(name, pattern)]
        if not found:
            raise _not_found(role, pattern, types)
        selected.update(found)
    return [name for name in types if name in selected]


def _is_number(kind: DataType) -> bool:
    from pyspark.sql.types import BooleanType, NumericType

    return isinstance(kind, NumericType | BooleanType)


def _source(name: str, kind: DataType, schema: StructType, categorical: bool) -> FeatureSource:
    from pyspark.ml.linalg import VectorUDT
    from pyspark.sql.types import (
        ArrayType,
        BooleanType,
        NumericType,
        StringType,
        StructType,
    )

    if categorical:
        if not isinstance(kind, StringType | NumericType | BooleanType):
            raise DataError(
                "column_type",
                f"The categorical column {name!r} must hold strings, numbers or booleans. "
                f"Got {kind.simpleString()}.",
            )
        return FeatureSource(name, "categorical")
    if _is_number(kind):
        return FeatureSource(name, "numeric")
    if isinstance(kind, ArrayType) and isinstance(kind.elementType, NumericType):
        return FeatureSource(name, "array")
    if isinstance(kind, VectorUDT):
        return FeatureSource(name, "vector", _attribute_names(schema[name].metadata))
    if isinstance(kind, StructType) and set(kind.names) == {"size", "indices", "values"}:
        return FeatureSource(name, "struct")
    if isinstance(kind, StringType):
        raise DataError(
            "non_numeric_feature",
            f"The feature column {name!r} holds strings.",
            f"List it as categorical (categorical=[{name!r}], --categorical {name}), cast it to a "
            "number, or leave it out of the features.",
        )
    raise DataError(
        "non_numeric_feature",
        f"The feature column {name!r} has the type {kind.simpleString()}, which is not numeric.",
        "Features are numeric or boolean columns, arrays of numbers or ML vectors; cast it, or "
        "leave it out of the features.",
    )


def _attribute_names(metadata: dict[str, Any]) -> tuple[str, ...]:
    """Return the names in a vector's ML attributes; empty unless every slot has one."""
    attributes = metadata.get("ml_attr", {}).get("attrs", {})
    slots = [a for group in attributes.values() for a in group]
    if not slots or any("name" not in a for a in slots):
        return ()
    ordered = sorted(slots, key=lambda a: a["idx"])
    if [a["idx"] for a in ordered] != list(range(len(ordered))):
        return ()
    return tuple(a["name"] for a in ordered)


def _label_kind(name: str, kind: DataType, task: Task) -> LabelKind:
    from pyspark.sql.types import BooleanType, DecimalType, IntegralType, NumericType, StringType

    if task == "regression":
        if isinstance(kind, NumericType):
            return "target"
        raise DataError(
            "column_type",
            f"The label column {name!r} must be numeric for a regression. "
            f"Got {kind.simpleString()}.",
        )
    if isinstance(kind, DecimalType) and kind.scale == 0 and kind.precision <= _BIGINT_DIGITS:
        return "integer"
    if isinstance(kind, IntegralType):
        return "integer"
    if isinstance(kind, NumericType):
        return "number"
    if isinstance(kind, BooleanType):
        return "boolean"
    if isinstance(kind, StringType):
        return "string"
    raise DataError(
        "column_type",
        f"The label column {name!r} must hold numbers, strings or booleans. "
        f"Got {kind.simpleString()}.",
    )
