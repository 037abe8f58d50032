"""Baskets from text files and tables as one array column."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sparkml_dist.dataset.many_columns import literal, named_column
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.tables.encoding import check_encoding, lines, text_of_line
from sparkml_dist.tables.lines import input_errors
from sparkml_dist.tables.quotes import DOUBLED, ESCAPED, unquoted, whole

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType

__all__ = ["basket_lists", "read_baskets"]

_INTEGERS = ("tinyint", "smallint", "int", "bigint")


def read_baskets(
    spark: SparkSession,
    uri: str,
    *,
    delimiter: str | None = None,
    itemsCol: str = "items",
    encoding: str | None = None,
) -> DataFrame:
    r"""Read a text file with one basket per line.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        Classic or Connect.
    uri : str
        File, folder or pattern; may be compressed. Items are separated by blanks, as in the
        ``.dat`` files of the FIMI repository. Blank lines are skipped.
    delimiter : str, optional
        Separator of items; any run of blanks by default. Blanks around an item are dropped. An item
        may be quoted, with quotes inside written as ``""`` or ``\"``.
    itemsCol : str, default="items"
        Name of the column.
    encoding : str, optional
        UTF-8, UTF-16, UTF-32, or an encoding with one byte per character. By default UTF-8, and
        windows-1252 for each line that is not valid UTF-8.

    Returns
    -------
    pyspark.sql.DataFrame
        One column, an array of strings.

    Raises
    ------
    StorageError
        ``file_not_found``, ``file_not_read``.
    ConfigurationError
        ``invalid_param``.
    """
    from pyspark.sql import functions as F

    if delimiter == "":
        raise ConfigurationError("invalid_param", "delimiter must not be empty. Got ''.")
    encoding = check_encoding(encoding)
    with input_errors(uri):
        value = lines(spark, uri, encoding).select(F.expr(text_of_line(encoding)).alias("value"))
        # All whitespace that Python strips, and a byte-order mark.
        line = F.regexp_replace(F.col("value"), r"^[\s\uFEFF]+|\s+$", "")
        rows = value.select(line.alias("line")).where(F.col("line") != "")
    items = F.split("line", r"\s+") if delimiter is None else F.expr(_fields(delimiter))
    return rows.select(items.alias(itemsCol))


def _fields(delimiter: str) -> str:
    """Return SQL for the non-empty fields of ``line``, unquoted."""
    mark = re.escape(delimiter)
    between = literal(rf"\s*{mark}\s*")
    plain = f"split(line, {between})"
    if len(delimiter) > 1:
        return f"filter({plain}, item -> item != '')"
    made = {}
    for style in (DOUBLED, ESCAPED):
        field = rf'{mark}\s*+({style}"|[^{mark}]*+)'
        parts = f"regexp_extract_all({literal(delimiter)} || line, {literal(field)}, 1)"
        made[style] = f"transform({parts}, part -> trim({unquoted('trim(part)', style)}))"
    doubled, escaped = (f"line RLIKE {literal(whole(s, delimiter))}" for s in (DOUBLED, ESCAPED))
    fields = (
        f"""CASE WHEN NOT contains(line, '"') THEN {plain} WHEN {doubled} THEN {made[DOUBLED]} """
        f"WHEN {escaped} THEN {made[ESCAPED]} ELSE {plain} END"
    )
    return f"filter({fields}, item -> item != '')"


def basket_lists(df: DataFrame, items_col: str, basket_col: str | None) -> tuple[DataFrame, str]:
    """Return the baskets of a table as one array column, and the type of the items.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    items_col : str
        Column of arrays; of single items where `basket_col` is given.
    basket_col : str, optional
        Column that identifies the basket of an item. Rows where it is null are left out.

    Returns
    -------
    lists : pyspark.sql.DataFrame
    item_type : str
        Spark's name of the type: a string or an integer.

    Raises
    ------
    DataError
        ``column_not_found``, ``column_type``.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.types import ArrayType

    for name, column in (("itemsCol", items_col), ("basketCol", basket_col)):
        if column is not None and column not in df.columns:
            raise DataError(
                "column_not_found",
                f"{name}: there is no column {column!r}.{nearest(column, df.columns)}",
                f"The columns are: {', '.join(df.columns[:20])}.",
            )
    found = df.schema[items_col].dataType
    items = named_column(items_col)
    if basket_col is not None:
        if isinstance(found, ArrayType):
            raise DataError(
                "column_type",
                f"{items_col!r} holds arrays; with basketCol, a row must hold one item.",
                "Leave basketCol out, or explode the arrays.",
            )
        item_type = _item_type(found, items_col)
        rows = df.select(named_column(basket_col).alias("basket"), items.alias("item"))
        lists = rows.where(F.col("basket").isNotNull()).groupBy("basket")
        return lists.agg(F.collect_set("item").alias("items")).select("items"), item_type
    if not isinstance(found, ArrayType):
        raise DataError(
            "column_type",
            f"{items_col!r} must be an array of items. Got {found.simpleString()}.",
            "Where every row holds one item, name the column of baskets with basketCol; text can "
            "be split by pyspark.sql.functions.split, or read with read_baskets.",
        )
    return df.select(items.alias("items")), _item_type(found.elementType, items_col)


def _item_type(found: DataType, column: str) -> str:
    from pyspark.sql.types import StringType

    if isinstance(found, StringType) or found.typeName() in ("varchar", "char"):
        return "string"
    name = found.simpleString()
    if name not in _INTEGERS:
        raise DataError(
            "column_type",
            f"The items in {column!r} must be strings or integers, all of one type. Got {name}.",
            "Cast them to strings.",
        )
    return name
