"""Reads CSV and TSV tables: infers dialect and types, assigns roles, reads rows lazily."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.tables.columns import (
    Roles,
    check_names,
    check_same_roles,
    declared_kinds,
    find_column,
    listing,
    unique_names,
)
from sparkml_dist.tables.encoding import check_encoding, is_wide, lines
from sparkml_dist.tables.lines import read_lines, text_of
from sparkml_dist.tables.schema import MISSING_VALUES, Table, TableSchema
from sparkml_dist.tables.shape import shape_of
from sparkml_dist.tables.small import lines_to_read, plain_table
from sparkml_dist.tables.sniff import Dialect, is_number, sniff
from sparkml_dist.tables.survey import survey
from sparkml_dist.tables.text import ColumnFacts, TextTable, typed

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["TextOptions", "read_delimited"]

_logger = logging.getLogger(__name__)

_PEEKED = 200
# Below this share of non-numeric values, a string column causes a warning.
_FEW = 0.2


@dataclass(frozen=True)
class TextOptions:
    """The user's options of a text table; None for those to be inferred.

    Attributes
    ----------
    header : bool or None
    delimiter : str or None
    missing : tuple of str
    types : mapping of (str or int) to str
    decimal, encoding, comment : str or None
    """

    header: bool | None = None
    delimiter: str | None = None
    missing: tuple[str, ...] = ()
    types: Mapping[str | int, str] = field(default_factory=dict)
    decimal: str | None = None
    encoding: str | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        if self.decimal not in (None, ".", ","):
            raise ConfigurationError(
                "invalid_param", f"decimal must be '.' or ','. Got {self.decimal!r}."
            )
        if self.comment is not None and len(self.comment) > 1:
            raise ConfigurationError(
                "invalid_param", f"comment must be one character or none. Got {self.comment!r}."
            )


def read_delimited(
    spark: SparkSession,
    uri: str,
    *,
    format: str,
    options: TextOptions,
    roles: Roles,
    schema_from: TableSchema | None,
    label_optional: bool,
) -> Table:
    """Read a CSV or TSV table; parameters, result and errors as in `read_table`."""
    where = repr(uri)
    encoding = check_encoding(options.encoding)
    comment, missing = options.comment, options.missing
    if schema_from is not None:
        comment = comment if comment is not None or not schema_from.comment else schema_from.comment
        missing = schema_from.missing
    wanted = lines_to_read(spark, uri, encoding, _PEEKED)
    read = read_lines(spark, uri, wanted, encoding)
    peeked = text_of(read[:_PEEKED], uri, encoding)
    dialect = sniff(
        peeked,
        header=options.header,
        delimiter=options.delimiter,
        missing=(*MISSING_VALUES, *missing),
        known_names=(roles.label_name,) if schema_from is None else schema_from.columns,
        likely="" if schema_from is None else schema_from.delimiter,
        comment=comment,
    )
    folders = tuple(lines(spark, uri, encoding).columns[1:-2])
    shown = _field_names(dialect, folders, uri, schema_from, label_optional)
    if not roles.without_roles:
        check_names((*shown, *(n for n in folders if n not in shown)), f"The header of {where}")
    names = unique_names(shown)
    columns = (*names, *(name for name in folders if name not in names))
    _logger.info(
        "%s: %s, delimiter %r, %s (%s), %d columns: %s",
        uri,
        format,
        dialect.delimiter,
        "a header" if dialect.header else "no header",
        dialect.header_reason,
        len(columns),
        listing(columns),
    )
    unread = TableSchema(
        format=format,
        columns=columns,
        kinds=("string",) * len(columns),
        header=dialect.header is not None,
        delimiter=dialect.delimiter,
        missing=missing,
        comment=dialect.comment,
    )
    # Errors that the names show are raised before the pass over the rows.
    declared = declared_kinds(options.types, columns, where)
    if schema_from is None:
        label = roles.assign(unread, where).label
    else:
        unread = _with_earlier_roles(unread, schema_from, roles, label_optional, where)
        label = unread.label
    # The kinds of the first file's columns.
    before: dict[str, str] = {}
    if schema_from is not None:
        before = dict(zip(schema_from.columns, schema_from.kinds, strict=True))
    shape = None
    # A number that marks a missing value cannot be recognised in lines.
    if not (options.decimal == "," or is_wide(encoding) or any(map(is_number, missing))):
        booleans = {i for i, n in enumerate(names) if "boolean" in (before.get(n), declared.get(n))}
        place = names.index(label) if label in names else None
        shape = shape_of(peeked, dialect, place, booleans)
    pattern = None if shape is None else shape.pattern
    # More is asked only of a table that is read as a whole.
    plain = plain_table(read, dialect, pattern) if wanted > _PEEKED else None
    if plain is not None:
        parts, repeated, fit = plain.parts, False, True
    else:
        parts, repeated, fit = survey(
            spark, uri, dialect, encoding, comment_given=comment is not None, pattern=pattern
        )
    text = TextTable(
        uri,
        dialect.delimiter,
        dialect.comment,
        encoding,
        names,
        folders,
        parts,
        dialect.header,
        repeated,
    )
    known = {}
    if shape is not None and fit:
        known = {names[i]: ColumnFacts(plain=True) for i in shape.numbers}
        if label in known:
            known[label] = ColumnFacts(not_whole=int(not shape.whole))
    if plain is not None:
        facts = plain.facts(names, missing, label, known)
    else:
        facts = text.facts(spark, missing, label, known) if parts else []
    if known and _decimal(facts) == ",":
        facts = text.facts(spark, missing, label)  # a decimal comma, unless points are found
    if not facts:
        raise DataError("empty_data", f"{where} has no rows.", "Check the file.")
    by_name = dict(zip(columns, facts, strict=True))
    schema = replace(unread, decimal=options.decimal or _decimal(facts))
    found = {name: fact.kind(schema.decimal) for name, fact in by_name.items()}
    if schema_from is None:
        schema = roles.assign(replace(schema, kinds=tuple((found | declared).values())), where)
        if schema.label and schema.label not in declared:
            found[schema.label] = _label_kind(by_name[schema.label], found[schema.label])
        kinds = found | {c: "string" for c in schema.categorical if found[c] == "number"} | declared
        words = {n for n, kind in kinds.items() if kind == "string" and found[n] == "string"}
        words |= {n for n, kind in declared.items() if kind == "string"}
    else:
        as_before = {n: before[n] for n in schema.features if before[n] != "other"}
        kinds = found | as_before | declared
        words = {*schema_from.words}
        if schema.label and (schema.label not in declared):
            kinds[schema.label] = _earlier_label_kind(schema.label, before, found)
            words.discard(schema.label)
            words |= {schema.label} if found[schema.label] == "string" else set()
    roled = {*schema.features, schema.label} - {""}
    # Columns without a role keep their text.
    kinds |= {n: "string" for n in columns if n not in roled and n not in declared}
    schema = replace(
        schema,
        kinds=tuple(kinds[n] for n in columns),
        words=tuple(n for n in columns if n in words and n in roled),
    )
    example = partial(text.example, spark, missing=missing)
    _check(schema, by_name, declared, where, example)
    if schema_from is None:
        _warn_of_strays(schema, by_name, example)
    numbers = {
        n for n in names if schema.kind(n) == "number" and by_name[n].plain and n != schema.label
    }
    df = text.rows(spark, numbers=numbers)
    typed_rows = df.selectExpr(*_typed(schema, by_name, roled, dict(df.dtypes)))
    return Table(typed_rows.toDF(*shown, *columns[len(shown) :]), schema)


def _typed(
    schema: TableSchema,
    facts: Mapping[str, ColumnFacts],
    roled: set[str],
    types: Mapping[str, str],
) -> list[str]:
    """Return SQL for all columns."""
    made = []
    for name, kind in zip(schema.columns, schema.kinds, strict=True):
        if types[name] == "double" or (name not in roled and kind == "string"):
            kind = "text"
        elif name == schema.label and kind == "number" and not facts[name].not_whole:
            kind = "integer"
        marked = name not in schema.words
        made.append(
            typed(name, kind, missing=schema.missing, marked=marked, decimal=schema.decimal)
        )
    return made


def _field_names(
    dialect: Dialect,
    folders: Sequence[str],
    uri: str,
    before: TableSchema | None,
    label_optional: bool,
) -> tuple[str, ...]:
    """Return the names of the fields: of the header, of the first file, or c0, c1 and so on."""
    width = dialect.width
    if before is not None and not (dialect.header and before.header is not False):
        # One of the two files has no names: match columns by position.
        for schema in (before, before.without_label()) if label_optional else (before,):
            names = tuple(name for name in schema.columns if name not in folders)
            if len(names) == width:
                return names
        raise DataError(
            "column_count",
            f"{uri!r} has {width} columns, but the training data had {len(before.columns)}; "
            f"its first line is {dialect.first_line[:80]!r}.",
            "Check that line and the delimiter.",
        )
    if dialect.header is None:
        return tuple(f"c{i}" for i in range(width))
    unnamed = [i for i, name in enumerate(dialect.header) if not name]
    if unnamed:
        _logger.warning(
            "%s: columns %s have no name in the header; they are named %s. "
            "Leave a column of row numbers out of the features.",
            uri,
            listing([str(i) for i in unnamed]),
            listing([f"c{i}" for i in unnamed]),
        )
    return tuple(name or f"c{i}" for i, name in enumerate(dialect.header))


def _with_earlier_roles(
    schema: TableSchema, before: TableSchema, roles: Roles, label_optional: bool, where: str
) -> TableSchema:
    """Return the schema of another file with the roles of the first file, or another label."""
    if roles.label is not None:
        before = replace(before, label=find_column(roles.label, schema.columns, "label", where))
    label = check_same_roles(schema.columns, before, label_optional, where)
    return replace(schema, label=label, features=before.features, categorical=before.categorical)


def _decimal(facts: Sequence[ColumnFacts]) -> str:
    """Infer the decimal mark: a comma if more columns are numeric with it than with a point."""
    commas = any(f.present and f.not_number and not f.not_comma for f in facts)
    points = any(f.present and f.not_comma and not f.not_number for f in facts)
    return "," if commas and not points else "."


def _label_kind(facts: ColumnFacts, kind: str) -> str:
    """Return the kind of a label; integers that doubles cannot distinguish become strings."""
    return "string" if kind == "number" and facts.not_whole and facts.long else kind


def _earlier_label_kind(label: str, before: Mapping[str, str], found: Mapping[str, str]) -> str:
    kind = before.get(label, found[label])
    return kind if kind in ("string", found[label]) else found[label]


def _check(
    schema: TableSchema,
    facts: Mapping[str, ColumnFacts],
    declared: Mapping[str, str],
    where: str,
    example: Callable[[str, str], str],
) -> None:
    """Raise for values that do not fit the declared kind, or that of the training data."""
    for name, kind in zip(schema.columns, schema.kinds, strict=True):
        fact = facts[name]
        not_number = fact.not_comma if schema.decimal == "," else fact.not_number
        bad = {"number": not_number, "boolean": fact.not_boolean}.get(kind, 0)
        if bad:
            what = "numbers" if kind == "number" else "true or false"
            why = "declared" if name in declared else "in the training data"
            raise DataError(
                "non_numeric_value",
                f"Column {name!r} of {where} must hold {what}, as {why}, but "
                f"{bad:,} of {fact.present:,} values are not, such as {example(name, kind)!r}.",
                "Write missing values as one of: "
                + ", ".join(filter(None, (*schema.missing, *MISSING_VALUES)))
                + ".",
            )


def _warn_of_strays(
    schema: TableSchema, facts: Mapping[str, ColumnFacts], example: Callable[[str, str], str]
) -> None:
    """Warn of columns that are strings only because of a few values."""
    for name in (*schema.features, *filter(None, [schema.label])):
        fact = facts[name]
        strings = schema.kind(name) == "string" and name not in schema.categorical
        if strings and 0 < fact.not_number < _FEW * fact.present:
            _logger.warning(
                "column %r is read as strings because %s of its %s values are not numbers, such as "
                "%r; if they mark missing values, add them to missing (--missing)",
                name,
                f"{fact.not_number:,}",
                f"{fact.present:,}",
                example(name, "number"),
            )
