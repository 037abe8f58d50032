"""CSV and TSV tables: dialect and types found out, roles given, rows read lazily."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sparkml_dist.dataset.table_columns import (
    Roles,
    check_names,
    listing,
    roles_as_before,
    told_apart,
)
from sparkml_dist.dataset.table_lines import first_lines
from sparkml_dist.dataset.table_schema import Table, TableSchema
from sparkml_dist.dataset.table_sniff import Dialect, sniff
from sparkml_dist.dataset.table_text import ColumnFacts, TextTable
from sparkml_dist.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["read_delimited"]

_logger = logging.getLogger(__name__)

_PEEKED = 200
# Below this share of values that are no numbers, a column of strings is worth a warning.
_FEW = 0.2


def read_delimited(
    spark: SparkSession,
    uri: str,
    *,
    format: str,
    header: bool | None,
    delimiter: str | None,
    missing: tuple[str, ...],
    roles: Roles,
    schema_from: TableSchema | None,
    label_optional: bool,
) -> Table:
    """Read a CSV or TSV table; parameters, result and errors as in `read_table`."""
    if schema_from is not None:
        missing = schema_from.missing
    dialect = sniff(
        first_lines(spark, uri, _PEEKED),
        header=header,
        delimiter=delimiter,
        missing=missing,
        known_names=(roles.label_name,) if schema_from is None else schema_from.columns,
        likely="" if schema_from is None else schema_from.delimiter,
    )
    names = _column_names(dialect, uri, schema_from, label_optional)
    if not roles.bare:
        check_names(names, f"The header of {uri!r}")
    columns = told_apart(names)
    _logger.info(
        "%s: %s, delimiter %r, %s (%s), %d columns: %s",
        uri,
        format,
        dialect.delimiter,
        "a header" if dialect.header else "no header",
        dialect.told,
        len(columns),
        listing(columns),
    )
    where = repr(uri)
    text = TextTable(uri, dialect, missing)
    unread = TableSchema(
        format=format,
        columns=columns,
        kinds=("string",) * len(columns),
        header=dialect.header is not None,
        delimiter=dialect.delimiter,
        decimal=dialect.decimal,
        missing=missing,
    )
    # What the names alone can tell is told before the pass over the rows.
    if schema_from is None:
        roles.settle(unread, where)
    else:
        unread = replace(
            unread,
            label=roles_as_before(columns, schema_from, label_optional, where),
            features=schema_from.features,
            categorical=schema_from.categorical,
        )
    rows, facts = text.facts(spark)
    if rows == 0:
        raise DataError("empty_data", f"{where} holds no rows of data.", "Check the file.")
    if schema_from is None:
        schema = roles.settle(replace(unread, kinds=tuple(f.kind for f in facts)), where)
        _warn_of_strays(schema, facts)
        kinds = [
            "string" if name in schema.categorical else kind
            for name, kind in zip(columns, schema.kinds, strict=True)
        ]
    else:
        kinds = _kinds_as_before(columns, facts, schema_from, where)
        schema = unread
    schema = replace(schema, kinds=tuple(kinds))
    whole = [
        "integer" if name == schema.label and kind == "number" and not fact.not_integer else kind
        for name, kind, fact in zip(columns, kinds, facts, strict=True)
    ]
    return Table(text.read(spark, columns, whole).toDF(*names), schema)


def _column_names(
    dialect: Dialect, uri: str, before: TableSchema | None, label_optional: bool
) -> tuple[str, ...]:
    """Name the columns: by the header, by the columns of the first file, or as c0, c1 and so on."""
    width = dialect.width
    if before is not None and not (dialect.header and before.header is not False):
        # No names in this file, or none in the first: position tells which column is which.
        for schema in (before, before.without_label()) if label_optional else (before,):
            if len(schema.columns) == width:
                return schema.columns
        raise DataError(
            "column_count",
            f"{uri!r} has {width} columns and the training data had {len(before.columns)}; "
            f"its first line is {dialect.first_line[:80]!r}.",
            "Check that line and the delimiter.",
        )
    if dialect.header is None:
        return tuple(f"c{i}" for i in range(width))
    unnamed = [i for i, name in enumerate(dialect.header) if not name]
    if unnamed:
        _logger.warning(
            "%s: the header leaves columns %s without a name; they are called %s. "
            "A column of row numbers is better left out of the features.",
            uri,
            listing([str(i) for i in unnamed]),
            listing([f"c{i}" for i in unnamed]),
        )
    return tuple(name or f"c{i}" for i, name in enumerate(dialect.header))


def _kinds_as_before(
    columns: Sequence[str], facts: Sequence[ColumnFacts], before: TableSchema, where: str
) -> list[str]:
    """Return the kinds that the columns had in the first file, if the values allow it."""
    known = dict(zip(before.columns, before.kinds, strict=True))
    kinds = []
    for name, fact in zip(columns, facts, strict=True):
        kind = known.get(name, fact.kind)
        bad = {"number": fact.not_number, "boolean": fact.not_boolean}.get(kind, 0)
        if bad and name in before.features:
            what = "numbers" if kind == "number" else "true or false"
            raise DataError(
                "non_numeric_value",
                f"Column {name!r} of {where} must hold {what}, as the training data does, but "
                f"{bad:,} of {fact.present:,} values are not, such as {fact.example!r}.",
                "Mark missing values by one of: " + ", ".join(m for m in before.missing if m) + ".",
            )
        kinds.append(fact.kind if bad or kind == "other" else kind)
    return kinds


def _warn_of_strays(schema: TableSchema, facts: Sequence[ColumnFacts]) -> None:
    """Warn of columns that are strings only because of a few values."""
    for name, fact in zip(schema.columns, facts, strict=True):
        roled = name in schema.features or name == schema.label
        if roled and name not in schema.categorical and 0 < fact.not_number < _FEW * fact.present:
            _logger.warning(
                "column %r is read as strings because %s of its %s values are no numbers, such as "
                "%r; if these mean that the value is missing, say so (--missing)",
                name,
                f"{fact.not_number:,}",
                f"{fact.present:,}",
                fact.example,
            )
