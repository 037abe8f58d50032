"""Columns of a DataFrame by name, as Spark compares names: mostly without upper and lower case."""

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
    """Raise where Spark could not tell which column of `df` one of `names` means.

    Columns that nobody names may be called alike: a join makes such tables.

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
        if _tells_case(df) and alike.count(name) == 1:
            continue
        raise DataError(
            "duplicate_columns",
            f"Two columns are named alike: {alike[0]!r} and {alike[1]!r}.",
            "Rename one of them, or drop it; Spark does not tell upper from lower case.",
        )


def check_outputs(df: DataFrame, outputs: Iterable[str], label: str = "") -> None:
    """Raise unless columns of these names can be added to `df`.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    outputs : iterable of str
        Columns that a model adds; those that are there already are replaced.
    label : str, optional
        The model's label column, which must not be.

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
                f"Two output columns are named alike: {seen[name.casefold()]!r} and {name!r}.",
                "Give each a name of its own.",
            )
        seen[name.casefold()] = name
    if label.casefold() in seen and label in df.columns:
        raise ConfigurationError(
            "output_column_taken",
            f"The output column {seen[label.casefold()]!r} would take the place of the label "
            f"{label!r}.",
            "Set predictionCol, or the Param of that output, to another name.",
        )


def with_outputs(
    df: DataFrame, outputs: Mapping[str, Column], *, temporary: Iterable[str] = ()
) -> DataFrame:
    """Return `df` with the outputs of a model behind its own columns.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    outputs : mapping of str to pyspark.sql.Column
        Made of `temporary` columns. Each takes the place of the columns that Spark finds by its
        name, as `DataFrame.withColumn` has it.
    temporary : iterable of str
        Columns of `df` that are dropped.

    Returns
    -------
    pyspark.sql.DataFrame
        Columns that are called alike, as a join makes them, stay as they are.
    """
    added = [column.alias(name) for name, column in outputs.items()]
    # Dropping takes names that occur twice, or not at all, and compares them as Spark does.
    return df.drop(*outputs).select("*", *added).drop(*temporary)


def with_output(df: DataFrame, name: str, made: Column) -> DataFrame:
    """Return `df` with one output, made of its columns, as `with_outputs` adds it."""
    from pyspark.sql import functions as F

    with_made = df.select("*", made.alias(_MADE))
    return with_outputs(with_made, {name: F.col(_MADE)}, temporary=[_MADE])


def _tells_case(df: DataFrame) -> bool:
    return str(df.sparkSession.conf.get("spark.sql.caseSensitive")).lower() == "true"
