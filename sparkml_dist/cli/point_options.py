"""The command-line options of the jobs over points: data, columns, output."""

from __future__ import annotations

import argparse

from sparkml_dist.cli.options import add_existing_output_options, add_reading_options

__all__ = ["add_point_options"]


def add_point_options(
    parser: argparse.ArgumentParser,
    *,
    truth: str,
    categorical: bool = False,
) -> None:
    """Add the options of the jobs over points: data, columns, output.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    truth : str
        Help of ``--label``.
    categorical : bool, default=False
        Whether to add ``--categorical``.
    """
    data = parser.add_argument_group("data")
    data.add_argument(
        "--input",
        "--train",
        dest="input",
        required=True,
        metavar="URI",
        help="the rows: a file, folder or pattern",
    )
    add_reading_options(parser)
    columns = parser.add_argument_group("columns (a PATTERN is a name, an index or a glob)")
    columns.add_argument("--label", metavar="COL", help=truth)
    columns.add_argument(
        "--features",
        nargs="+",
        action="extend",
        metavar="PATTERN",
        help="feature columns (default: all others)",
    )
    if categorical:
        columns.add_argument(
            "--categorical",
            nargs="+",
            action="extend",
            default=[],
            metavar="PATTERN",
            help="feature columns that hold categories, which are one-hot encoded; 'auto' for "
            "all features of strings",
        )
    columns.add_argument(
        "--key", metavar="COL", help="column that identifies a row; written, but no feature"
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output", required=True, metavar="DIR", help="folder for model/, rows/, metrics.json"
    )
    add_existing_output_options(output, kept="its model is reused")
