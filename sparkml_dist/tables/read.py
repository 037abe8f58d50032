"""Reads Parquet, CSV, TSV and libsvm files as typed tables with column roles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sparkml_dist.dataset.parquet import read_parquet
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.tables.columns import (
    Roles,
    check_names,
    check_same_roles,
    find_column,
)
from sparkml_dist.tables.delimited import TextOptions, read_delimited
from sparkml_dist.tables.libsvm import read_libsvm
from sparkml_dist.tables.lines import TEXT_FORMATS, format_of, input_errors
from sparkml_dist.tables.schema import Table, TableSchema

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import DataType

__all__ = ["read_table"]


def read_table(
    spark: SparkSession,
    uri: str,
    *,
    format: str | None = None,
    header: bool | None = None,
    delimiter: str | None = None,
    label: str | int | None = None,
    features: Iterable[str | int] | None = None,
    categorical: Iterable[str | int] = (),
    missing: Sequence[str] = (),
    types: Mapping[str | int, str] | None = None,
    text: Iterable[str | int] = (),
    decimal: str | None = None,
    encoding: str | None = None,
    comment: str | None = None,
    schema_from: TableSchema | None = None,
    label_optional: bool = False,
    without_roles: bool = False,
) -> Table:
    """Read a table into a DataFrame whose columns have types and roles.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        Classic or Connect.
    uri : str
        File, folder of part files, or pattern, anywhere that Spark can read. Text files may be
        compressed.
    format : {"parquet", "csv", "tsv", "libsvm"}, optional
        Inferred from the name by default.
    header : bool, optional
        Whether a text table begins with a line of names; inferred by default.
    delimiter : str, optional
        Field separator of a CSV file; inferred by default. ``" "`` is any run of blanks.
    label : str or int, optional
        Name or index (from 0; -1 is the last) of the label column; ``"label"`` by default.
    features : iterable of str or int, optional
        Names, indices or shell patterns of the feature columns; all others by default.
    categorical : iterable of str or int, default=()
        Names, indices or patterns of features that hold categories; ``"auto"`` for all
        features that hold strings.
    missing : sequence of str, default=()
        Fields of a text table that mark missing values in all features and the label, besides
        the empty field and, in numeric and boolean columns, `MISSING_VALUES`.
    types : mapping of (str or int) to str, optional
        Types of columns of a text table, by name, index or pattern: ``"number"``, ``"boolean"``
        or ``"text"``. Inferred from all values for the other columns.
    text : iterable of str or int, default=()
        Names, indices or patterns of columns of type ``"text"``.
    decimal : {".", ","}, optional
        Decimal mark of a text table; inferred by default.
    encoding : str, optional
        Encoding of a text table: UTF-8, UTF-16, UTF-32, or an encoding of one byte per character.
        By default UTF-8, and windows-1252 for values that are not valid UTF-8.
    comment : str, optional
        First character of comment lines in a text table; ``""`` for no comments. By default,
        lines before the first row that begin with ``#`` are comments, unless they have as many
        fields as a row.
    schema_from : TableSchema, optional
        Schema of an earlier table, whose names, types and features are used; then features and
        categorical must not be given. Other columns than the features and the label are text.
        `label` overrides that of the schema.
    label_optional : bool, default=False
        Whether the label may be missing: that of `schema_from`, or the default one when `label` is
        not given.
    without_roles : bool, default=False
        Whether columns have no roles: there is no label, and names may be arbitrary and duplicate.
        Then label, features and categorical must not be given.

    Returns
    -------
    Table
        The DataFrame with its schema. Of a text table, features and label with only numbers are
        doubles (long for an integer label), those with only true and false are booleans, others
        are trimmed strings. Columns without a role keep their text. Folder names such as
        ``region=1`` become a column. A libsvm file has the columns ``label`` and ``features``.

    Raises
    ------
    StorageError
        ``file_not_found``, ``file_not_read``.
    DataError
        ``empty_data``, ``duplicate_columns``, ``column_not_found``, ``label_not_given``,
        ``no_features``, ``ragged_rows``, ``headers_differ``, ``comments_among_rows``,
        ``non_numeric_value``, ``malformed_line``, ``wrong_format``.
    ConfigurationError
        ``unknown_format``, ``invalid_param``, ``conflicting_params``, ``column_twice``,
        ``categorical_not_feature``, ``option_not_used``.

    Notes
    -----
    Spark's own reader reads text tables. Its options are inferred: delimiter and header from the
    first lines; the order of columns, the quoting and the encoding of each file in one pass over
    its lines. This pass also checks that columns whose first values are numbers hold only numbers;
    the types of all other columns are inferred in one pass over their values. The driver receives
    the first lines only; of a table of one file of at most one megabyte, all lines, and where these
    are plain (no quotes, no comments, UTF-8) it makes both passes by itself, without Spark jobs.
    """
    roles = Roles(
        label,
        None if features is None else tuple(features),
        tuple(categorical),
        unlabelled=label_optional,
        without_roles=without_roles,
    )
    if schema_from is not None and replace(roles, label=None).given():
        raise ConfigurationError(
            "conflicting_params",
            "features and categorical must not be given together with schema_from.",
        )
    declared = {**dict.fromkeys(text, "text"), **(types or {})}
    options = TextOptions(header, delimiter, tuple(missing), declared, decimal, encoding, comment)
    chosen = format_of(uri, format)
    if declared and chosen not in TEXT_FORMATS:
        raise ConfigurationError(
            "option_not_used",
            f"types and text must not be given for {uri!r}, which is read as {chosen} and has "
            "typed columns.",
        )
    if chosen == "libsvm":
        if roles.features is not None or roles.categorical or str(label or 0) not in ("0", "label"):
            raise ConfigurationError(
                "option_not_used",
                f"label, features and categorical must not be given for the libsvm file {uri!r}: "
                "it has one label and numbered features.",
            )
        return read_libsvm(spark, uri, schema_from)
    if chosen == "parquet":
        return _read_parquet(spark, uri, roles, schema_from, label_optional)
    tab = chosen == "tsv" and delimiter is None
    return read_delimited(
        spark,
        uri,
        format=chosen,
        options=replace(options, delimiter="\t") if tab else options,
        roles=roles,
        schema_from=schema_from,
        label_optional=label_optional,
    )


def _read_parquet(
    spark: SparkSession,
    uri: str,
    roles: Roles,
    schema_from: TableSchema | None,
    label_optional: bool,
) -> Table:
    with input_errors(uri):
        df = read_parquet(spark, uri)
        fields = df.schema.fields  # under Connect, the file is read here
    columns = tuple(field.name for field in fields)
    kinds = tuple(_kind(field.dataType) for field in fields)
    if not roles.without_roles:
        check_names(columns, repr(uri))
    if schema_from is not None:
        if roles.label is not None:
            label = find_column(roles.label, columns, "label", repr(uri))
            schema_from = replace(schema_from, label=label)
        label = check_same_roles(columns, schema_from, label_optional, repr(uri))
        return Table(
            df, replace(schema_from, format="parquet", columns=columns, kinds=kinds, label=label)
        )
    return Table(df, roles.assign(TableSchema("parquet", columns, kinds), repr(uri)))


def _kind(data_type: DataType) -> str:
    from pyspark.sql.types import BooleanType, NumericType, StringType

    if isinstance(data_type, NumericType):
        return "number"
    if isinstance(data_type, BooleanType):
        return "boolean"
    return "string" if isinstance(data_type, StringType) else "other"
