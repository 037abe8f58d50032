"""Train a Keras network on shards of a data set, with Horovod between the ranks."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from sparkml_dist.job.options import (
    JobParser,
    add_common_options,
    add_training_options,
    at_least,
    shape,
)
from sparkml_dist.job.runner import Job, run_job
from sparkml_dist.job.training import Prepared, train
from sparkml_dist.report.accuracy_plot import plot_accuracy_by_epoch
from sparkml_dist.report.seconds_plot import plot_seconds

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from sparkml_dist.deep import KerasClassificationModel
    from sparkml_dist.persistence.filesystem import Folder

NAME = "train_deep"


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        NAME,
        "Cut a data set into random shards, train one Keras network on them with several ranks "
        "side by side (one Spark task each), score held-out rows, and save the network.",
        [
            "--train mnist.parquet --output out --model cnn --input-shape 28,28,1",
            "--train table.csv --output out --model my_models.py:build --ranks 4",
        ],
    )
    add_training_options(parser)
    group = parser.add_argument_group("network")
    group.add_argument(
        "--model",
        default="mlp",
        metavar="NAME",
        help="mlp, cnn, or FILE.py:FUNCTION, a function of input_shape and n_classes that returns "
        "a compiled Keras model (default: %(default)s)",
    )
    group.add_argument(
        "--input-shape",
        type=shape,
        metavar="H,W,C",
        help="shape that a row's features are given, e.g. 28,28,1 (default: one dimension)",
    )
    group.add_argument(
        "--ranks",
        type=at_least(1),
        default=2,
        metavar="N",
        help="processes that train side by side, a Spark slot each (default: %(default)s)",
    )
    group.add_argument(
        "--epochs",
        type=at_least(1),
        default=10,
        metavar="N",
        help="passes over the data (default: %(default)s)",
    )
    group.add_argument(
        "--batch-size",
        type=at_least(1),
        metavar="N",
        help="rows of one step on each rank (default: 16 to 256, about 100 steps to an epoch)",
    )
    add_common_options(parser)
    return parser


def main(args: argparse.Namespace, job: Job) -> None:
    """Train as `args` say."""
    from sparkml_dist.deep.builder_spec import resolve_builder

    resolve_builder(args.model)
    job.document.parts["ranks"] = args.ranks

    def ready(spark: SparkSession) -> None:
        from sparkml_dist.cluster.gang import check_gang
        from sparkml_dist.deep.training import REQUIRED

        check_gang(spark, args.ranks, REQUIRED)

    def fit(prepared: Prepared) -> KerasClassificationModel:
        from sparkml_dist.deep import KerasClassifier

        network = KerasClassifier(
            builder=args.model,
            numRanks=args.ranks,
            epochs=args.epochs,
            batchSize=args.batch_size,
            inputShape=None if args.input_shape is None else list(args.input_shape),
            seed=args.seed,
            modelDir=prepared.output.model.location,
            overwrite=args.overwrite,
            resume=args.resume,
        )
        model: KerasClassificationModel = network.fit(prepared.data)  # type: ignore[call-overload]
        summary = model.summary
        job.document.peak_worker_rss_mb = summary["peak_worker_rss_mb"]
        job.document.seconds["train"] = summary["seconds"]["train"]
        job.document.more["parameters"] = summary["parameters"]
        return model

    def plot(
        model: KerasClassificationModel,
        test: DataFrame,  # noqa: ARG001 - jobs draw from different things
        metrics: Any,
        folder: Folder,
    ) -> None:
        plot_accuracy_by_epoch(model.history, folder, held_out=metrics.accuracy)
        ranks = model.summary["ranks"]
        waited = [r["waited_seconds"] for r in ranks]
        trained = [r["train_seconds"] - w for r, w in zip(ranks, waited, strict=True)]
        other = [max(0.0, r["seconds"] - r["train_seconds"]) for r in ranks]
        stages = {"start and end": other, "wait for data": waited, "train": trained}
        plot_seconds(stages, "rank", folder)

    train(args, job, fit, plot, ready=ready)


if __name__ == "__main__":
    sys.exit(run_job(NAME, options(), main))
