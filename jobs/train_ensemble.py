"""Train an ensemble of any scikit-learn classifier on shards of a data set."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from sparkml_dist.job.estimators import named_learner
from sparkml_dist.job.options import (
    JobParser,
    add_common_options,
    add_training_options,
    at_least,
    json_object,
    share,
)
from sparkml_dist.job.runner import Job, run_job
from sparkml_dist.job.training import train
from sparkml_dist.report.accuracy_plot import plot_accuracy_by_members
from sparkml_dist.report.seconds_plot import plot_seconds

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.dataset import PartitionedDataset
    from sparkml_dist.ensemble import BaggingClassificationModel
    from sparkml_dist.job.output import JobOutput
    from sparkml_dist.persistence.filesystem import Folder
    from sparkml_dist.report.metrics import ClassificationMetrics

NAME = "train_ensemble"


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        NAME,
        "Cut a data set into random shards, fit an ensemble of a scikit-learn classifier on them, "
        "score held-out rows, and save the model.",
        [
            "--train letter.svm --output out --members 100 --shards 4",
            "--train adult.data --label -1 --categorical auto --output out",
        ],
    )
    add_training_options(parser)
    group = parser.add_argument_group("ensemble")
    group.add_argument(
        "--estimator",
        default="sklearn.tree.DecisionTreeClassifier",
        metavar="DOTTED.PATH",
        help="classifier that members are copies of (default: %(default)s)",
    )
    group.add_argument(
        "--estimator-params",
        type=json_object,
        default={},
        metavar="JSON",
        help="its parameters, e.g. '{\"max_depth\": 5}'",
    )
    group.add_argument(
        "--impute",
        choices=("mean", "median", "most_frequent"),
        help="fill in missing values before the classifier, for one that does not take them",
    )
    group.add_argument(
        "--scale", action="store_true", help="divide features by their standard deviation before it"
    )
    group.add_argument(
        "--method",
        choices=("bagging", "pasting", "subspaces", "patches"),
        default="bagging",
        help="what a member sees: rows with replacement, without, some features, or some of both "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--members", type=at_least(1), default=10, metavar="N", help="default: %(default)s"
    )
    group.add_argument(
        "--shards-per-member", type=at_least(1), default=1, metavar="N", help="default: %(default)s"
    )
    group.add_argument(
        "--max-samples", type=share, metavar="F", help="rows of a bag as a share of its shards"
    )
    group.add_argument(
        "--max-features", type=share, metavar="F", help="features of a member as a share of all"
    )
    group.add_argument(
        "--voting", choices=("soft", "hard"), default="soft", help="default: %(default)s"
    )
    add_common_options(parser)
    return parser


def main(args: argparse.Namespace, job: Job) -> None:
    """Train as `args` say."""
    learner = named_learner(
        args.estimator,
        args.estimator_params,
        voting=args.voting,
        impute=args.impute,
        scale=args.scale,
    )
    job.document.parts["members"] = args.members

    def fit(data: PartitionedDataset, output: JobOutput) -> BaggingClassificationModel:
        from sparkml_dist.ensemble import BaggingClassifier

        bagging = BaggingClassifier(
            estimator=learner,
            numMembers=args.members,
            method=args.method,
            maxSamples=args.max_samples,
            maxFeatures=args.max_features,
            shardsPerMember=args.shards_per_member,
            voting=args.voting,
            seed=args.seed,
            modelDir=output.model.location,
            overwrite=args.overwrite,
            resume=args.resume,
        )
        model: BaggingClassificationModel = bagging.fit(data)  # type: ignore[call-overload]
        job.document.peak_worker_rss_mb = model.summary["peak_worker_rss_mb"]
        job.document.seconds["member_fit"] = model.summary["seconds"]["member_fit"]
        return model

    def plot(
        model: BaggingClassificationModel,
        test: DataFrame,
        metrics: ClassificationMetrics,
        folder: Folder,
    ) -> None:
        plot_accuracy_by_members(model.stagedAccuracy(test), folder, rows=metrics.rows)
        members = model.summary["members"]
        fitting = [m["seconds"] for m in members]
        other = [max(0.0, m["task_seconds"] - m["seconds"]) for m in members]
        plot_seconds({"fit": fitting, "read and commit": other}, "member", folder)

    train(args, job, fit, plot)


if __name__ == "__main__":
    sys.exit(run_job(NAME, options(), main))
