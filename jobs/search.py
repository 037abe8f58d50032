"""Search for the hyper-parameters of a learner, or for the best of several learners."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from sparkml_dist.cli.options import JobParser, add_common_options, add_training_options
from sparkml_dist.cli.runner import Job, run_job
from sparkml_dist.cli.searches import add_search_options, search_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.cli.training import Prepared
    from sparkml_dist.persistence.filesystem import Folder

NAME = "search"


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        NAME,
        "Partition a data set into random shards, search for the best learner and parameters on "
        "them, score held-out rows, and save the model.",
        [
            "--train letter.svm --output out --trials 50 \\\n"
            "    --estimator sklearn.tree.DecisionTreeClassifier \\\n"
            '    --space \'{"max_depth": [4, 8, 16], "min_samples_leaf": [1, 5, 20]}\'',
            "--train adult.data --label -1 --categorical auto --output out --time-budget 300 \\\n"
            "    --estimator HistGradientBoostingClassifier \\\n"
            '    --space \'{"learning_rate": {"low": 0.02, "high": 0.5, "log": true}}\' \\\n'
            "    --metric log_loss --ensemble 20",
        ],
    )
    add_training_options(parser)
    add_search_options(parser)
    add_common_options(parser)
    return parser


def main(args: argparse.Namespace, job: Job) -> None:
    """Run the job."""
    from sparkml_dist.cli.training import train

    choice = search_of(args, seed=args.seed)

    def fit(prepared: Prepared) -> Any:
        choice.setParams(
            modelDir=prepared.output.model.location,
            overwrite=args.overwrite,
            resume=args.resume,
        )
        model = choice.fit(prepared.data)
        _note(job, model)
        return model

    def plot(model: Any, _test: DataFrame, _metrics: Any, folder: Folder) -> None:
        model.plot(folder.location)

    train(args, job, fit, plot, regression=args.regression)


def _note(job: Job, model: Any) -> None:
    """Add the facts of the search to the metrics document."""
    document, summary = job.document, model.summary
    document.parts["trials"] = summary["trials"]
    document.peak_worker_rss_mb = summary["peak_worker_rss_mb"]
    document.seconds["member_fit"] = summary["seconds"]["member_fit"]
    document.more["search"] = {
        "best": model.content["best"],
        "metrics": model.content["metrics"],
        "ensemble": model.content["ensemble"],
        "failed": summary["failed"],
        "out_of_time": summary["out_of_time"],
    }


if __name__ == "__main__":
    sys.exit(run_job(NAME, options(), main))
