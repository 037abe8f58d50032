"""Shared parts of the jobs over points: reading of the table, output folder."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkml_dist.cli.indicators import with_indicators
from sparkml_dist.cli.options import plan_of, reading
from sparkml_dist.cli.output import JobOutput
from sparkml_dist.cli.runner import Job
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.tables.columns import find_column
from sparkml_dist.tables.lines import TEXT_FORMATS, format_of
from sparkml_dist.tables.read import read_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["PointTable", "claimed_output", "read_points"]


@dataclass(frozen=True)
class PointTable:
    """A table of points.

    Attributes
    ----------
    df : pyspark.sql.DataFrame
    features : list of str
        Columns of coordinates.
    label : str
        Column of the ground truth; empty when none was named.
    indicators : list of str
        The one-hot indicators among `features`, which are no columns of the input.
    """

    df: DataFrame
    features: list[str]
    label: str
    indicators: list[str]


def claimed_output(args: argparse.Namespace, job: Job) -> tuple[JobOutput, bool]:
    """Claim the output folder for this run; return whether an earlier run is resumed.

    Parameters
    ----------
    args : argparse.Namespace
    job : Job

    Raises
    ------
    StorageError
        ``output_exists``.
    ConfigurationError
        ``unknown_format``, ``plan_differs``.
    """
    assert job.output is not None
    output = job.output
    output.overwrite, output.resume = args.overwrite, args.resume
    format_of(args.input, args.format)
    return output, output.claim(plan_of(args))


def read_points(args: argparse.Namespace, job: Job) -> PointTable:
    """Read the table of points.

    Raises
    ------
    StorageError, DataError, ConfigurationError
        As raised by `read_table`; ``output_column_taken`` where the table has a column that the job
        writes.
    """
    options = reading(args)
    text = format_of(args.input, args.format) in TEXT_FORMATS
    if text and args.key is not None and not args.features:
        options["types"] = {args.key: "text"} | options["types"]
    with job.stage("read"):
        table = read_table(
            job.spark,
            args.input,
            label=args.label,
            features=args.features,
            categorical=getattr(args, "categorical", ()),
            label_optional=True,
            **options,
        )
        features = table.features
        if args.key is not None:
            key = find_column(args.key, table.df.columns, "key", repr(args.input))
            features = [name for name in features if name != key]
        for name in ("prediction", "outlierScore", "outlierColumn"):
            if name in table.df.columns:
                raise ConfigurationError(
                    "output_column_taken", f"The input has a column {name!r}, which the job writes."
                )
        made = with_indicators(table.df, features, table.categorical)
    label = table.label if args.label is not None else ""
    job.document.features = len(made.features)
    return PointTable(made.df, made.features, label, made.added)
