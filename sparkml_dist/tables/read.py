"""Tables from files: Parquet, CSV, TSV and libsvm, typed and with their columns' roles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sparkml_dist.dataset.parquet import read_parquet
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.tables.columns import (
    Roles,
    check_names,
    find_column,
    roles_as_before,
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
    bare: bool = False,
) -> Table:
    """Read a table into a DataFrame whose columns have types and roles.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        Classic or Connect.
    uri : str
        File, folder of part files, or pattern; anything that Spark opens. Text files may be
        compressed.
    format : {"parquet", "csv", "tsv", "libsvm"}, optional
        From the name by default.
    header : bool, optional
        Whether a text table begins with a line of names; found out by default.
    delimiter : str, optional
        Field separator of a CSV file; found out by default. ``" "`` is any run of blanks.
    label : str or int, optional
        Name or index (from 0; -1 is the last) of the label column; ``"label"`` by default.
    features : iterable of str or int, optional
        Names, indices or shell patterns of the feature columns; all others by default.
    categorical : iterable of str or int, default=()
        Names, indices or patterns of features that hold categories; ``"auto"`` for all
        features that hold strings.
    missing : sequence of str, default=()
        Fields of a text table that stand for "no value" in any feature or label, beside the
        empty one and, in columns of numbers and of true and false, `MISSING_VALUES`.
    types : mapping of (str or int) to str, optional
        What columns of a text table hold, by name, index or pattern: ``"number"``, ``"boolean"``
        or ``"text"``. Found out for the others, from all values.
    text : iterable of str or int, default=()
        Names, indices or patterns of columns of type ``"text"``.
    decimal : {".", ","}, optional
        Decimal mark of a text table; found out by default.
    encoding : str, optional
        Encoding of a text table: UTF-8, UTF-16, UTF-32, or one of a byte for each character.
        By default UTF-8, and windows-1252 for each value whose bytes are no UTF-8.
    comment : str, optional
        The character that begins lines of a text table that are no rows; ``""`` for none. By
        default, lines before the first row that begin with ``#`` are left out, unless they have
        as many fields as a row, and no others.
    schema_from : TableSchema, optional
        Read the table as another one was read: same names, types and features; neither features
        nor categorical must then be given here. Columns that are no features are text, but for
        the label. A `label` given here takes the place of the other table's.
    label_optional : bool, default=False
        Whether the table may lack a label: that of `schema_from`, or any where no `label` is
        given.
    bare : bool, default=False
        Whether columns have no roles: there is no label, and names may be any, also twice. Then
        nothing must be said of label, features and categories.

    Returns
    -------
    Table
        The DataFrame with its schema. Of a text table, features and label that hold nothing but
        numbers are doubles (a label of whole numbers: long), true and false make booleans, the
        rest are strings without blanks at their ends. Other columns are strings as they are
        written. Folders' names such as ``region=1`` make a column. A libsvm file has the columns
        ``label`` and ``features``.

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
    Spark's own reader reads text tables. What it must be told is found out: delimiter and header
    from the first lines; the order of the columns, the quotes and the encoding of each file in
    one pass over its lines. If in all of them the columns that began with numbers hold nothing
    but numbers, this pass tells their types too; those of the others are told in one pass over
    all values. The driver sees the first lines only.
    """
    roles = Roles(
        label,
        None if features is None else tuple(features),
        tuple(categorical),
        unlabelled=label_optional,
        bare=bare,
    )
    if schema_from is not None and replace(roles, label=None).given():
        raise ConfigurationError(
            "conflicting_params",
            "features and categorical must not be given along with schema_from.",
        )
    declared = {**dict.fromkeys(text, "text"), **(types or {})}
    options = TextOptions(header, delimiter, tuple(missing), declared, decimal, encoding, comment)
    chosen = format_of(uri, format)
    if declared and chosen not in TEXT_FORMATS:
        raise ConfigurationError(
            "option_not_used",
            f"types and text must not be given for {uri!r}, which is read as {chosen}: its columns "
            "have types.",
        )
    if chosen == "libsvm":
        if roles.features is not None or roles.categorical or str(label or 0) not in ("0", "label"):
            raise ConfigurationError(
                "option_not_used",
                f"label, features and categorical must not be given for the libsvm file {uri!r}: "
                "its label and numbered features are known.",
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
        fields = df.schema.fields  # under Connect, this is where the file is looked for
    columns = tuple(field.name for field in fields)
    kinds = tuple(_kind(field.dataType) for field in fields)
    if not roles.bare:
        check_names(columns, repr(uri))
    if schema_from is not None:
        if roles.label is not None:
            label = find_column(roles.label, columns, "label", repr(uri))
            schema_from = replace(schema_from, label=label)
        label = roles_as_before(columns, schema_from, label_optional, repr(uri))
        return Table(
            df, replace(schema_from, format="parquet", columns=columns, kinds=kinds, label=label)
        )
    return Table(df, roles.settle(TableSchema("parquet", columns, kinds), repr(uri)))


def _kind(data_type: DataType) -> str:
    from pyspark.sql.types import BooleanType, NumericType, StringType

    if isinstance(data_type, NumericType):
        return "number"
    if isinstance(data_type, BooleanType):
        return "boolean"
    return "string" if isinstance(data_type, StringType) else "other"
