"""Fit a kernel machine, a Gaussian process or clusters in the space of a kernel, over shards."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from sparkml_dist.cli.kernels import (
    add_kernel_options,
    is_clustering,
    kernel_estimator,
    kernel_params,
)
from sparkml_dist.cli.options import JobParser, add_common_options, add_training_options
from sparkml_dist.cli.runner import Job, run_job

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from sparkml_dist.cli.training import Prepared
    from sparkml_dist.persistence.filesystem import Folder

NAME = "fit_kernel"

# 95% of a normal distribution.
_WITHIN = 1.959963984540054


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        NAME,
        "Partition a data set into shards, fit a kernel machine (similarities to centres, or "
        "random features), a Gaussian process or kernel clusters by sums over all rows, score "
        "held-out rows, and save the model.",
        [
            "--train table.csv --output out --centers 1000 --length-scale validation",
            "--train table.csv --output out --regression --alpha 0.01 0.1 1 10",
            "--train table.csv --output out --method gp --regression",
            "--train table.csv --output out --method kmeans --k 3",
            "--train table.csv --output out --method spectral --k 3 --label truth",
        ],
    )
    add_training_options(parser)
    add_kernel_options(parser)
    add_common_options(parser)
    return parser


def main(args: argparse.Namespace, job: Job) -> None:
    """Run the job."""
    from sparkml_dist.cli.training import train

    kernel_params(args)
    if is_clustering(args) and args.label is None:
        from sparkml_dist.cli.kernel_clusters import cluster_table

        cluster_table(args, job)
        return
    truth: list[str] = []

    def ready(spark: SparkSession) -> None:
        estimator = kernel_estimator(args)
        if is_clustering(args):
            estimator._check()
        else:
            estimator._check_params(spark)

    def fit(prepared: Prepared) -> Any:
        place = prepared.output.model.location
        truth.append(prepared.label)
        if is_clustering(args):
            kernel_estimator(args, seed=args.seed).fit(prepared.data).write().overwrite().save(
                place
            )
            from sparkml_dist.models.loading import load_model

            model = load_model(place)
        else:
            model = kernel_estimator(
                args,
                seed=args.seed,
                modelDir=place,
                overwrite=args.overwrite,
                resume=args.resume,
            ).fit(prepared.data)
        job.document.more["kernel"] = {**model.kernel.to_dict(), **model.summary}
        return model

    def plot(
        model: Any,
        test: DataFrame,
        metrics: Any,  # noqa: ARG001 - part of the signature of all jobs
        folder: Folder,
    ) -> None:
        path = model.summary.get("path")
        if path:
            from sparkml_dist.report.plots.penalties import plot_penalties

            plot_penalties(path, model.summary["alpha"], folder)
        if args.method == "gp":
            job.document.more["interval_cover"] = _cover(model, test, truth[0])

    evaluate = None
    if is_clustering(args):

        def evaluate(model: Any, test: DataFrame) -> Any:
            from sparkml_dist.cli.kernel_clusters import evaluate_clusters

            return evaluate_clusters(model, test, truth[0])

    train(args, job, fit, plot, ready=ready, regression=args.regression, evaluate=evaluate)


def _cover(model: Any, test: DataFrame, label: str) -> float | None:
    """Return the share of rows whose labels lie in the interval of 95% around the prediction."""
    from sparkml_dist.dataset.many_columns import quoted

    (name,) = quoted([label])
    within = f"abs({name} - prediction) <= {_WITHIN} * predictionStd"
    row = model.transform(test).selectExpr(f"avg(cast({within} AS double)) AS share").first()
    return None if row is None else row["share"]


if __name__ == "__main__":
    sys.exit(run_job(NAME, options(), main))
