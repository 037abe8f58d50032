"""Score a table with a saved model and write the predictions as Parquet."""

from __future__ import annotations

import argparse
import sys

from sparkml_dist.cli.options import (
    JobParser,
    add_common_options,
    add_existing_output_options,
    add_reading_options,
)
from sparkml_dist.cli.runner import Job, run_job

NAME = "score"


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        NAME,
        "Score a table with a saved model. Writes Parquet: the input's columns, prediction (the "
        "class, or its position for classes of strings), probability (an array in the order of "
        "the model's classes) and, for classes of strings or of numbers past 2**53, "
        "predictedLabel; for other models (clusters, outliers, rules) the columns they add.",
        [
            "--model out --input new.csv --output scored",
            "--model out/model --input held-out.parquet --output scored --label species",
        ],
    )
    data = parser.add_argument_group("data")
    data.add_argument(
        "--model",
        required=True,
        metavar="DIR",
        help="a saved model, a training job's output, or a model of MLflow (models:/NAME@ALIAS, "
        "models:/NAME/VERSION, runs:/RUN/model)",
    )
    data.add_argument("--input", required=True, metavar="URI", help="the table to score")
    data.add_argument("--output", required=True, metavar="URI", help="folder for the Parquet files")
    data.add_argument(
        "--label",
        metavar="COL",
        help="label column, for metrics (default: the training data's, where the input has it)",
    )
    data.add_argument(
        "--keep",
        nargs="*",
        metavar="PATTERN",
        help="input columns to write beside the predictions (default: all)",
    )
    add_existing_output_options(
        data, kept="of Parquet files, those that were scored are not scored again"
    )
    data.add_argument(
        "--trusted-types",
        nargs="+",
        default=[],
        metavar="TYPE",
        help="types outside the allow-list that the model's files may contain",
    )
    data.add_argument(
        "--verify",
        metavar="VARIABLE",
        help="environment variable with the key that the model must be signed with",
    )
    add_reading_options(parser, declared=False)
    add_common_options(parser, seed=False, model=False)
    return parser


def main(args: argparse.Namespace, job: Job) -> None:
    """Run the job."""
    from sparkml_dist.cli.scoring import score_table

    score_table(args, job)


if __name__ == "__main__":
    sys.exit(run_job(NAME, options(), main, writes_folder=False))
