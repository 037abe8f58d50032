"""Finds outliers in a table, and compares them with the ground truth where it is given."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING, Any

from sparkml_dist.cli.choices import OUTLIER_METHODS
from sparkml_dist.cli.outlier_truth import add_agreement, outlier_value
from sparkml_dist.cli.output import JobOutput
from sparkml_dist.cli.points import PointTable, claimed_output, read_points
from sparkml_dist.cli.runner import Job
from sparkml_dist.errors import UsageError
from sparkml_dist.mining.outliers.isolation_forest import IsolationForest
from sparkml_dist.mining.outliers.isolation_model import IsolationForestModel
from sparkml_dist.mining.outliers.local_outlier_factor import LocalOutlierFactor
from sparkml_dist.mining.outliers.lof_model import LocalOutlierFactorModel
from sparkml_dist.mining.outliers.robust_zscore import RobustZScore
from sparkml_dist.mining.outliers.robust_zscore_model import RobustZScoreModel
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import MANIFEST
from sparkml_dist.persistence.parquet import read_written, write_parquet

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["find_outliers"]

_logger = logging.getLogger(__name__)

_FORESTS = OUTLIER_METHODS[:3]
# Options of some methods, with their Params.
_OPTIONS = {
    "members": ("numMembers", _FORESTS),
    "max_samples": ("maxSamples", _FORESTS),
    "neighbors": ("numNeighbors", ("lof",)),
    "memory_per_task": ("memoryPerTask", ("lof",)),
}


def find_outliers(args: argparse.Namespace, job: Job) -> None:
    """Run the job and fill in its metrics document.

    Parameters
    ----------
    args : argparse.Namespace
        See ``jobs/find_outliers.py``.
    job : Job

    Raises
    ------
    UsageError
        ``usage`` for an option that the method lacks.
    StorageError, DataError, ConfigurationError
        As raised by reading the table and by `fit`; ``label_not_binary``, ``outlier_label``.
    """
    estimator = _estimator(args)
    output, resumed = claimed_output(args, job)
    table = read_points(args, job)
    outlier = None
    if table.label:  # before the fit, so that an error comes early
        with job.stage("read"):
            outlier = outlier_value(table.df, table.label, args.outlier_label)
    rows, work = output.folder.child("rows"), output.folder.child("work")
    written = resumed and rows.exists("_SUCCESS")
    try:
        model = _model(estimator, table, job, output, work, resumed=resumed)
        if not written:
            rows.delete()
            with job.stage("score"):
                scored = _scored(model, table.df).drop(*table.indicators)
                write_parquet(scored, rows)
    finally:
        work.delete()
    document = job.document
    with job.stage("evaluate"):
        found = read_written(job.spark, rows)
        counts = {
            r["prediction"]: r["count"] for r in found.groupBy("prediction").count().collect()
        }
        document.rows = sum(counts.values())
        document.features = model.numFeatures
        document.more["method"] = args.method
        document.more["outliers"] = counts.get(1.0, 0)
        document.more["threshold"] = model.threshold
        if table.label:
            add_agreement(document, found, table.label, outlier)
    if peak := model.summary.get("peak_worker_rss"):
        document.peak_worker_rss_mb = round(peak / 2**20, 1)
    document.more["fit"] = model.summary
    document.more["output"] = {"model": output.place("model"), "rows": output.place("rows")}
    output.commit(document)


def _estimator(args: argparse.Namespace) -> Any:
    params: dict[str, Any] = {"contamination": args.contamination}
    for option, (name, methods) in _OPTIONS.items():
        value = getattr(args, option)
        if value is None:
            continue
        if args.method not in methods:
            raise UsageError(
                "usage",
                f"--method {args.method} has no --{option.replace('_', '-')}.",
                f"It is for --method {' and '.join(methods)}.",
            )
        params[name] = value
    if args.outlier_label is not None and args.label is None:
        raise UsageError("usage", "--outlier-label needs --label, the column of the value.")
    estimator: Any
    if args.method == "lof":
        estimator = LocalOutlierFactor(**params)
    elif args.method == "robust-z":
        estimator = RobustZScore(**params)
    else:
        kind = "extended" if args.method.startswith("extended") else "standard"
        estimator = IsolationForest(**params, method=kind, seed=args.seed)
    estimator._check()  # before Spark starts
    return estimator


def _model(
    estimator: Any, table: PointTable, job: Job, output: JobOutput, work: Folder, *, resumed: bool
) -> Any:
    """Return the fitted and saved model, or that of the earlier run where there is one."""
    if resumed and output.model.exists(MANIFEST):
        _logger.info("reusing the model in %s", output.model.location)
        kinds = (IsolationForestModel, LocalOutlierFactorModel, RobustZScoreModel)
        kind = next(k for k in kinds if k.__name__ == f"{type(estimator).__name__}Model")
        return kind.load(output.model.location)
    for left in (output.model, work):  # left by an interrupted run
        left.delete()
    with job.stage("fit"):
        estimator.setParams(featuresCols=table.features)
        if isinstance(estimator, LocalOutlierFactor):
            estimator.setParams(modelDir=work.location)
        model = estimator.fit(table.df)
        model.save(output.model.location)
    return model


def _scored(model: Any, df: DataFrame) -> DataFrame:
    """Return the training rows with their scores; a row is not its own neighbour."""
    if isinstance(model, LocalOutlierFactorModel):
        return model.scores(df)
    scored: DataFrame = model.transform(df)
    return scored
