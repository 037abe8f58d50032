"""Train a model over silos, each of which keeps its rows."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from sparkml_dist.cli.federated import add_federated_options, check_federated, federated_estimator
from sparkml_dist.cli.options import JobParser, add_common_options, add_training_options
from sparkml_dist.cli.runner import Job, run_job

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NAME = "train_federated"


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        NAME,
        "Give each silo of a data set (a column's values) its own shards, train one model over "
        "them by messages, score held-out rows in each silo, and save the model with a ledger of "
        "all messages.",
        [
            "--train table.csv --silo hospital --output out --label ill --rounds 50",
            "--train table.csv --silo hospital --output out --strategy scaffold --secure",
            "--train table.csv --silo hospital --output out --model glm --family binomial",
            "--train table.csv --silo hospital --output out --noise-multiplier 1.1 --clip 1",
        ],
    )
    add_training_options(parser)
    add_federated_options(parser)
    add_common_options(parser)
    return parser


def main(args: argparse.Namespace, job: Job) -> None:
    """Run the job."""
    check_federated(args)
    from sparkml_dist.cli.federated_training import train_federated

    def ready(spark: SparkSession) -> None:  # noqa: ARG001 - checks need no session
        if args.model != "glm":
            federated_estimator(args)._check_params()

    train_federated(args, job, ready)


if __name__ == "__main__":
    sys.exit(run_job(NAME, options(), main))
