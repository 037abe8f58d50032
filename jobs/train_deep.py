"""Train a Keras network on shards of a data set, with Horovod between the ranks."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from sparkml_dist.cli.network_options import add_network_options
from sparkml_dist.cli.options import JobParser, add_common_options, add_training_options
from sparkml_dist.cli.runner import Job, run_job

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from sparkml_dist.cli.training import Metrics, Prepared
    from sparkml_dist.models.shard_model import ShardModel
    from sparkml_dist.persistence.filesystem import Folder

NAME = "train_deep"


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        NAME,
        "Partition a data set into random shards, train a Keras network on them by several ranks "
        "in parallel (one Spark task each), score held-out rows, and save the network.",
        [
            "--train mnist.parquet --output out --model cnn --input-shape 28,28,1",
            "--train table.csv --output out --model my_models.py:build --ranks 4",
            "--train table.csv --output out --validation-fraction 0.1 --patience 5",
            "--train table.csv --output out --members 5",
            "--train table.csv --output out --model nets.py:towers --targets price,sold",
        ],
    )
    add_training_options(parser)
    add_network_options(parser)
    add_common_options(parser)
    return parser


def main(args: argparse.Namespace, job: Job) -> None:
    """Run the job."""
    from sparkml_dist.cli.networks import (
        check_network_options,
        network_estimator,
        network_ranks,
    )
    from sparkml_dist.cli.training import train
    from sparkml_dist.deep.network.builder_spec import resolve_builder
    from sparkml_dist.report.plots.history import plot_history
    from sparkml_dist.report.plots.seconds import plot_seconds

    check_network_options(args)
    for spec in filter(None, (args.model, args.callbacks)):
        resolve_builder(spec)
    job.document.parts["ranks"] = network_ranks(args)
    if args.members is not None:
        job.document.parts["members"] = args.members

    def ready(spark: SparkSession) -> None:
        from sparkml_dist.cluster.gang import check_gang
        from sparkml_dist.deep.training import REQUIRED

        network = network_estimator(args)
        seconds = network._timeouts()["slot_timeout"]
        check_gang(spark, network_ranks(args), REQUIRED, slot_timeout=seconds)

    def fit(prepared: Prepared) -> ShardModel:
        network = network_estimator(
            args,
            seed=args.seed,
            modelDir=prepared.output.model.location,
            overwrite=args.overwrite,
            resume=args.resume,
        )
        model: ShardModel = network.fit(prepared.data)
        summary = model.summary
        job.document.peak_worker_rss_mb = summary["peak_worker_rss_mb"]
        if args.members is None:
            job.document.seconds["train"] = summary["seconds"]["train"]
            job.document.more.update(_network_summary(summary))
        else:
            job.document.more["networks"] = [
                {"seed": member["seed"], **_network_summary(member)}
                for member in summary["members"]
            ]
        return model

    def evaluate(model: ShardModel, test: DataFrame) -> Metrics:
        from sparkml_dist.cli.output_metrics import evaluate_outputs

        return evaluate_outputs(model, test, args.targets)

    def plot(
        model: ShardModel,
        test: DataFrame,  # noqa: ARG001 - part of the signature of all jobs
        metrics: Any,
        folder: Folder,
    ) -> None:
        if args.members is not None:
            _plot_members(model.summary["members"], folder)
            return
        values = metrics.to_dict()
        plot_history(
            model.summary["history"],
            folder,
            best_epoch=model.summary.get("best_epoch"),
            held_out={**values, "binary_accuracy": values.get("accuracy")},
        )
        ranks = model.summary["ranks"]
        waited = [r["waited_seconds"] for r in ranks]
        trained = [r["train_seconds"] - w for r, w in zip(ranks, waited, strict=True)]
        other = [max(0.0, r["seconds"] - r["train_seconds"]) for r in ranks]
        stages = {"start and end": other, "wait for data": waited, "train": trained}
        plot_seconds(stages, "rank", folder)

    train(
        args,
        job,
        fit,
        plot,
        ready=ready,
        regression=args.regression,
        evaluate=evaluate if args.targets is not None else None,
    )


def _network_summary(summary: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics of one network."""
    history = summary["history"]
    found = {
        "parameters": summary["parameters"],
        "epochs": len(history["loss"]),
        "last_epoch": {name: values[-1] for name, values in history.items()},
    }
    if summary.get("best_epoch") is not None:
        found["best_epoch"] = summary["best_epoch"] + 1
    return found


def _plot_members(members: list[dict[str, Any]], folder: Folder) -> None:
    from sparkml_dist.report.plots.history import plot_history
    from sparkml_dist.report.plots.seconds import plot_seconds

    for number, member in enumerate(members):
        plot_history(
            member["history"],
            folder,
            f"metrics_by_epoch_{number:03d}.png",
            best_epoch=member.get("best_epoch"),
        )
    stages = {
        name: [member["seconds"][name] for member in members]
        for name in ("launch", "build", "train", "save")
    }
    plot_seconds(stages, "member", folder)


if __name__ == "__main__":
    sys.exit(run_job(NAME, options(), main))
