"""The options and the work of the job that selects an algorithm."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING, Any

from sparkml_dist.cli.choices import ENSEMBLE_METHODS
from sparkml_dist.cli.options import (
    JobParser,
    add_common_options,
    add_training_options,
    at_least,
    size,
)
from sparkml_dist.errors import UsageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.cli.runner import Job
    from sparkml_dist.cli.training import Prepared

__all__ = ["options", "select_algorithm"]

_logger = logging.getLogger(__name__)

#: Lines of the leaderboard in the metrics.
_SHOWN = 50


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        "automl",
        "Find a good model for a table by itself: features, families of learners, their settings "
        "and an ensemble of the best, within a budget. Score held-out rows, save the model, and "
        "write a report.",
        [
            "--train adult.csv --label income --output out --time-budget 300",
            "--train sales.csv --label price --regression --output out --trials 50",
        ],
    )
    add_training_options(parser)
    group = parser.add_argument_group("selection")
    budget = group.add_mutually_exclusive_group()
    budget.add_argument(
        "--time-budget",
        type=at_least(0, float),
        metavar="S",
        help="seconds for features, shards, trials and the ensemble (default: 60)",
    )
    budget.add_argument(
        "--trials",
        type=at_least(1),
        metavar="N",
        help="number of settings to try instead: the same seed then gives the same model",
    )
    group.add_argument(
        "--metric",
        choices=("auc", "log_loss", "accuracy", "rmse", "mae", "r2"),
        help="score that decides (default: auc for two classes, log_loss for more, rmse)",
    )
    group.add_argument(
        "--families",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="families of learners to try (default: all that are installed)",
    )
    group.add_argument(
        "--ensemble-method",
        choices=ENSEMBLE_METHODS,
        default="best",
        help="greedy selection of trials, stacked weights of least loss, or the better of the two "
        "(default: best)",
    )
    group.add_argument("--regression", action="store_true", help="predict the label as a number")
    group.add_argument(
        "--calibrate", action="store_true", default=None, help="calibrate the probabilities"
    )
    group.add_argument(
        "--text-columns",
        nargs="+",
        action="extend",
        metavar="PATTERN",
        help="columns that hold texts (default: strings of many different values and words)",
    )
    group.add_argument(
        "--max-memory",
        dest="memory_per_task",
        type=size,
        metavar="SIZE",
        help="the same as --memory-per-task; a trial that takes more is ended",
    )
    group.add_argument(
        "--no-report",
        action="store_true",
        help="leave out model_card.md, and what report.html says of the model",
    )
    add_common_options(parser)
    return parser


def select_algorithm(args: argparse.Namespace, job: Job) -> None:
    """Run the job."""
    from sparkml_dist.automl import AutoClassifier, AutoRegressor
    from sparkml_dist.automl.auto_report import model_report
    from sparkml_dist.cli.training import train

    if args.shards_from is not None:
        raise UsageError(
            "usage",
            "automl makes features of the table itself, and takes no --shards-from.",
            "Leave it out.",
        )
    if args.regression and args.calibrate:
        raise UsageError("usage", "--calibrate is for classes, not for --regression.", "Leave it.")

    def fit(prepared: Prepared) -> Any:
        own: dict[str, Any] = {} if args.regression else {"calibrate": args.calibrate}
        kind = AutoRegressor if args.regression else AutoClassifier
        categorical = [c for c in args.categorical if c != "auto"]
        estimator = kind(
            labelCol=prepared.label,
            weightCol=prepared.roles.get("weight"),
            keyCol=prepared.roles.get("key"),
            categoricalCols=categorical or None,
            textCols=args.text_columns,
            timeBudget=args.time_budget,
            numTrials=args.trials,
            metric=args.metric,
            families=args.families,
            ensembleMethod=args.ensemble_method,
            numShards=args.shards,
            memoryPerTask=args.memory_per_task,
            seed=args.seed,
            shardsDir=prepared.output.shards.location,
            modelDir=prepared.output.model.location,
            overwrite=args.overwrite,
            resume=args.resume,
            **own,
        )
        model = estimator.fit(prepared.data)
        document = job.document
        document.parts["trials"] = model.content["trials"]
        document.peak_worker_rss_mb = model.summary["peak_worker_rss_mb"]
        document.more["peak_driver_rss_mb"] = model.summary["peak_driver_rss_mb"]
        document.more["ensemble"] = model.summary["ensemble"]
        document.seconds["member_fit"] = model.summary["seconds"]["member_fit"]
        document.more["metric"] = model.metric
        document.more["validation"] = model.scores
        document.more["leaderboard"] = model.leaderboardTable()[:_SHOWN]
        document.more["left"] = [list(entry) for entry in model.tried]
        document.more["alerts"] = [list(entry) for entry in model.alerts]
        return model

    def report(model: Any, test: DataFrame, *_: Any) -> None:
        if args.no_report:
            return
        assert job.output is not None

        job.output.model_report = report = model_report(model, test)
        report.to_markdown(job.output.folder.uri("model_card.md"))
        job.document.more["report"] = job.output.place("report.html")

    train(args, job, fit, report, regression=args.regression, on_table=True)
