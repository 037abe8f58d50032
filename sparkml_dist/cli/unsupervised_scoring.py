"""Scores a table with an unsupervised model: clusters, outliers, rules."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sparkml_dist.cli.options import reading
from sparkml_dist.dataset.columns import match_columns
from sparkml_dist.dataset.many_columns import quoted
from sparkml_dist.dataset.parquet import read_parquet
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.mining.arrays_model import ArraysModel
from sparkml_dist.tables.lines import format_of, input_errors
from sparkml_dist.tables.read import read_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["kept_columns", "unsupervised_scores"]


def unsupervised_scores(args: argparse.Namespace, spark: SparkSession, model: Any) -> DataFrame:
    """Return the kept columns of the input, and the columns that the model adds.

    Parameters
    ----------
    args : argparse.Namespace
        ``input``, ``label``, ``keep`` and the reading options.
    spark : pyspark.sql.SparkSession
    model : pyspark.ml.Model
        Any model but a `ShardModel`.

    Raises
    ------
    ConfigurationError
        ``option_not_used`` for ``--label``, which these models do not use.
    SparkMLDistError
        As raised by reading the table and by the model's `transform`.
    """
    if args.label is not None:
        raise ConfigurationError(
            "option_not_used",
            f"A {type(model).__name__} is trained without labels and does not use --label.",
            "Leave --label out.",
        )
    if format_of(args.input, args.format) == "parquet":
        with input_errors(args.input):  # any column types: baskets are arrays
            df = read_parquet(spark, args.input)
    else:
        # Columns that the model does not use are passed through unchanged.
        looked_at = list(model.columns.names) if isinstance(model, ArraysModel) else None
        options = reading(args)
        df = read_table(spark, args.input, features=looked_at, label_optional=True, **options).df
    columns = df.columns
    scored: DataFrame = model.transform(df)
    if args.keep is None:
        return scored
    kept = kept_columns(df, args.keep)
    added = [name for name in scored.columns if name not in columns]
    return scored.select(*quoted(kept), *quoted(added))


def kept_columns(df: DataFrame, keep: list[str] | None) -> list[str]:
    """Return the columns that match ``--keep``: all without it, none where it is empty."""
    if keep is None:
        return df.columns
    patterns = [pattern for pattern in keep if pattern]
    return match_columns("keep", patterns, df.columns) if patterns else []
