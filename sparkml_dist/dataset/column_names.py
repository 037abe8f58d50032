"""Columns of a DataFrame by name, compared as Spark does: case-insensitively by default."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from sparkml_dist.errors import ConfigurationError, DataError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["check_outputs", "refuse_ambiguous", "with_output", "with_outputs"]

_MADE = "_sparkml_dist_made"


def refuse_ambiguous(df: DataFrame, names: Iterable[str]) -> None:
    """Raise where one of `names` could mean several columns of `df`.

    Other columns may share a name: a join makes such tables.

    Raises
    ------
    DataError
        ``duplicate_columns``.
    """
    number = Counter(column.casefold() for column in df.columns)
    for name in names:
        if number[name.casefold()] < 2:
            continue
        alike = [column for column in df.columns if column.casefold() == name.casefold()]
        if _is_case_sensitive(df) and alike.count(name) == 1:
            continue
        raise DataError(
            "duplicate_columns",
            f"Two columns have the same name to Spark: {alike[0]!r} and {alike[1]!r}.",
            "Rename or drop one of them; Spark ignores upper and lower case.",
        )


def check_outputs(df: DataFrame, outputs: Iterable[str], label: str = "") -> None:
    """Raise unless a model can add columns of these names to `df`.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    outputs : iterable of str
        Columns that a model adds; existing ones are replaced.
    label : str, optional
        The model's label column, which must not be replaced.

    Raises
    ------
    ConfigurationError
        ``output_column_taken``.
    """
    seen: dict[str, str] = {}
    for name in outputs:
        if name.casefold() in seen:
            raise ConfigurationError(
                "output_column_taken",
                f"Two output columns have the same name: {seen[name.casefold()]!r} and {name!r}.",
                "Give each output a name of its own.",
            )
        seen[name.casefold()] = name
    if label.casefold() in seen and label in df.columns:
        raise ConfigurationError(
            "output_column_taken",
            f"The output column {seen[label.casefold()]!r} would replace the label column "
            f"{label!r}.",
            "Set predictionCol, or the Param of that output, to another name.",
        )


def with_outputs(
    df: DataFrame, outputs: Mapping[str, Column], *, temporary: Iterable[str] = ()
) -> DataFrame:
    """Return `df` with a model's outputs after its own columns.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    outputs : mapping of str to pyspark.sql.Column
        Computed from `temporary` columns. Each replaces the columns that Spark finds by its name,
        as in `DataFrame.withColumn`.
    temporary : iterable of str
        Columns of `df` that are dropped.

    Returns
    -------
    pyspark.sql.DataFrame
        Other columns that share a name, as after a join, stay.
    """
    added = [column.alias(name) for name, column in outputs.items()]
    # `drop` accepts names that occur twice or not at all, and compares names as Spark does.
    return df.drop(*outputs).select("*", *added).drop(*temporary)


def with_output(df: DataFrame, name: str, made: Column) -> DataFrame:
    """Return `df` with one output column, computed from its columns; see `with_outputs`."""
    from pyspark.sql import functions as F

    with_made = df.select("*", made.alias(_MADE))
    return with_outputs(with_made, {name: F.col(_MADE)}, temporary=[_MADE])


def _is_case_sensitive(df: DataFrame) -> bool:
    return str(df.sparkSession.conf.get("spark.sql.caseSensitive")).lower() == "true"
