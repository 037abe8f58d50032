"""Train an ensemble of scikit-learn learners on shards of a data set."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import TYPE_CHECKING, Any

from sparkml_dist.cli.ensembles import EnsembleChoice, add_ensemble_options
from sparkml_dist.cli.options import JobParser, add_common_options, add_training_options
from sparkml_dist.cli.runner import Job, run_job
from sparkml_dist.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.cli.training import Prepared
    from sparkml_dist.persistence.filesystem import Folder

NAME = "train_ensemble"

_logger = logging.getLogger("sparkml_dist.jobs.train_ensemble")


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        NAME,
        "Partition a data set into random shards, fit an ensemble of scikit-learn learners on "
        "them, score held-out rows, and save the model.",
        [
            "--train letter.svm --output out --members 100 --shards 4",
            "--train adult.data --label -1 --categorical auto --output out --oob",
            "--train sales.csv --label price --regression --output out",
            "--train t.csv --output out --method stacking --estimator GaussianNB \\\n"
            "    --estimator sklearn.tree.DecisionTreeClassifier",
        ],
    )
    add_training_options(parser)
    add_ensemble_options(parser)
    add_common_options(parser)
    return parser


def main(args: argparse.Namespace, job: Job) -> None:
    """Run the job."""
    from sparkml_dist.cli.training import train
    from sparkml_dist.report.plots.accuracy import plot_accuracy_by_members
    from sparkml_dist.report.plots.curve import plot_stopping_curve
    from sparkml_dist.report.plots.reliability import plot_reliability
    from sparkml_dist.report.plots.seconds import plot_seconds

    choice = EnsembleChoice.of(args)
    uncalibrated: list[Any] = []

    def fit(prepared: Prepared) -> Any:
        output = prepared.output
        home = output.folder.child("uncalibrated") if args.calibrate else output.model
        estimator = choice.estimator(
            seed=args.seed,
            modelDir=home.location,
            overwrite=args.overwrite,
            resume=args.resume,
        )
        model = estimator.fit(prepared.data)
        _note(job, model)
        if not args.calibrate:
            return model
        uncalibrated.append(model)
        return _calibrated(args, model, prepared)

    def plot(model: Any, test: DataFrame, metrics: Any, folder: Folder) -> None:
        summary = model.summary
        if curve := summary.get("curve"):
            plot_stopping_curve(curve, folder)
        if members := summary.get("members"):
            fitting = [m["seconds"] for m in members]
            other = [max(0.0, m["task_seconds"] - m["seconds"]) for m in members]
            plot_seconds({"fit": fitting, "read and commit": other}, "member", folder)
        if args.regression:
            return
        if hasattr(model, "stagedAccuracy") and model.numMembers > 1:
            plot_accuracy_by_members(model.stagedAccuracy(test), folder, rows=metrics.rows)
        if args.calibrate:
            stages = {"before": uncalibrated[0], f"after ({args.calibrate})": model}
            curves = {name: _reliability(stage, test) for name, stage in stages.items()}
            job.document.more["reliability"] = {k: c.to_dict() for k, c in curves.items()}
            plot_reliability(curves, folder)

    train(
        args,
        job,
        fit,
        plot,
        regression=args.regression,
        hold_out=bool(args.calibrate),
        worker_modules=("sparkml_dist.members.engine", "sklearn.ensemble"),
        packs=True,
    )


def _note(job: Job, model: Any) -> None:
    """Add the facts of the fit to the metrics document."""
    document, summary = job.document, model.summary
    document.parts["members"] = model.numMembers
    document.peak_worker_rss_mb = summary.get("peak_worker_rss_mb")
    document.seconds["member_fit"] = summary["seconds"]["member_fit"]
    if "oob" in summary:
        document.more["oob"] = summary["oob"]
    if "curve" in summary:
        document.more["curve"] = summary["curve"]


def _calibrated(args: argparse.Namespace, model: Any, prepared: Prepared) -> Any:
    from sparkml_dist.ensemble.calibration.calibration import CalibratedClassifier

    assert prepared.held_out is not None
    if prepared.held_out.isEmpty():
        raise DataError(
            "no_validation_rows", "No row is held out to calibrate on.", "Train on more rows."
        )
    calibration = CalibratedClassifier(
        model=model,
        method=args.calibrate,
        modelDir=prepared.output.model.location,
        overwrite=args.overwrite or args.resume,
    )
    _logger.info("calibrating")
    return calibration.fit(prepared.held_out)


def _reliability(model: Any, test: DataFrame) -> Any:
    from sparkml_dist.metrics.reliability import reliability

    return reliability(model.transform(test), label_col=model.label.column, classes=model.classes)


if __name__ == "__main__":
    sys.exit(run_job(NAME, options(), main))
