"""Train one gradient-boosted model over all rows of a data set, with XGBoost, by several ranks."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from sparkml_dist.cli.boosting import add_boosting_options, boosting_estimator, boosting_params
from sparkml_dist.cli.options import JobParser, add_common_options, add_training_options
from sparkml_dist.cli.runner import Job, run_job

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from sparkml_dist.cli.training import Prepared
    from sparkml_dist.models.shard_model import ShardModel
    from sparkml_dist.persistence.filesystem import Folder

NAME = "train_xgboost"


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        NAME,
        "Partition a data set into shards, boost trees over all of its rows by several ranks in "
        "parallel (one Spark task each), score held-out rows, and save the model.",
        [
            "--train table.csv --output out --categorical auto",
            "--train table.csv --output out --validation-fraction 0.1 --patience 20",
            "--train claims.csv --output out --regression --objective count:poisson",
            "--train big.parquet --output out --ranks 8 --memory-per-task 1g",
        ],
    )
    add_training_options(parser)
    add_boosting_options(parser)
    add_common_options(parser)
    return parser


def main(args: argparse.Namespace, job: Job) -> None:
    """Run the job."""
    from sparkml_dist.cli.training import train
    from sparkml_dist.report.plots.history import plot_history
    from sparkml_dist.report.plots.seconds import plot_seconds

    boosting_params(args)

    def ready(spark: SparkSession) -> None:
        boosting_estimator(args)._check_params(spark)

    def fit(prepared: Prepared) -> ShardModel:
        estimator = boosting_estimator(
            args,
            seed=args.seed,
            memoryPerTask=args.memory_per_task,
            modelDir=prepared.output.model.location,
            overwrite=args.overwrite,
            resume=args.resume,
        )
        model: ShardModel = estimator.fit(prepared.data)
        summary = model.summary
        job.document.parts["ranks"] = len(summary["ranks"])
        job.document.peak_worker_rss_mb = summary["peak_worker_rss_mb"]
        job.document.seconds["train"] = summary["seconds"]["train"]
        job.document.more.update(_summary(summary))
        return model

    def plot(
        model: ShardModel,
        test: DataFrame,  # noqa: ARG001 - part of the signature of all jobs
        metrics: Any,  # noqa: ARG001
        folder: Folder,
    ) -> None:
        summary = model.summary
        plot_history(
            summary["history"],
            folder,
            "metrics_by_round.png",
            best_epoch=summary.get("best_round"),
            unit="round",
        )
        trained = [r["train_seconds"] for r in summary["ranks"]]
        other = [max(0.0, r["seconds"] - r["train_seconds"]) for r in summary["ranks"]]
        plot_seconds({"start, rows and end": other, "train": trained}, "rank", folder)

    train(args, job, fit, plot, ready=ready, regression=args.regression)


def _summary(summary: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics of the training."""
    found = {
        "rounds": summary["rounds"],
        "external_memory": summary["external"],
        "restarts": summary["restarts"],
        "last_round": {name: values[-1] for name, values in summary["history"].items()},
    }
    if summary.get("best_round") is not None:
        found["best_round"] = summary["best_round"] + 1
    return found


if __name__ == "__main__":
    sys.exit(run_job(NAME, options(), main))
