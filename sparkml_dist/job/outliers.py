"""Finds outliers in a table, and compares them with the truth where it is given."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from sparkml_dist.errors import DataError
from sparkml_dist.job.points import claimed_output, read_points
from sparkml_dist.job.runner import Job
from sparkml_dist.mining.outliers.isolation_forest import IsolationForest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["OUTLIER_METHODS", "find_outliers"]

OUTLIER_METHODS = ("isolation-forest", "extended-isolation-forest")


def find_outliers(args: argparse.Namespace, job: Job) -> None:
    """Do the work of the job and fill in its metrics document.

    Parameters
    ----------
    args : argparse.Namespace
        See ``jobs/find_outliers.py``.
    job : Job

    Raises
    ------
    StorageError, DataError, ConfigurationError
        As reading the table and fitting have it; ``label_not_binary``.
    """
    estimator = _estimator(args)
    output = claimed_output(args, job)
    table = read_points(args, job)
    with job.stage("fit"):
        model = estimator.setParams(featuresCols=table.features).fit(table.df)
        model.save(output.model.location)
    rows = output.folder.child("rows")
    with job.stage("score"):
        model.transform(table.df).write.parquet(rows.spark_path())
    document = job.document
    with job.stage("evaluate"):
        written = job.spark.read.parquet(rows.spark_path())
        counts = {
            r["prediction"]: r["count"] for r in written.groupBy("prediction").count().collect()
        }
        document.rows = sum(counts.values())
        document.features = model.numFeatures
        document.more["outliers"] = counts.get(1.0, 0)
        document.more["threshold"] = model.threshold
        if table.label:
            document.metrics["roc_auc"] = _area_under_roc(written, table.label)
    document.peak_worker_rss_mb = round(model.summary["peak_worker_rss"] / 2**20, 1)
    document.more["output"] = {"model": output.model.location, "rows": rows.location}


def _estimator(args: argparse.Namespace) -> Any:
    estimator = IsolationForest(
        method="extended" if args.method.startswith("extended") else "standard",
        numEstimators=args.trees,
        maxSamples=args.samples,
        contamination=args.contamination,
        seed=args.seed,
    )
    estimator._check()  # before Spark starts
    return estimator


def _area_under_roc(scored: DataFrame, label: str) -> float | None:
    """Return the exact area under the ROC curve of the scores; the higher label is the outlier."""
    from pyspark.ml.evaluation import BinaryClassificationEvaluator
    from pyspark.sql import functions as F

    values = sorted(
        str(row[0]) for row in scored.select(F.col(f"`{label}`")).distinct().limit(3).collect()
    )
    if len(values) > 2:
        raise DataError(
            "label_not_binary",
            f"The truth in {label!r} must have two values. Got {', '.join(values)} and more.",
            "Leave --label out, or name the column that tells outliers from others.",
        )
    if len(values) < 2:
        return None
    highest = scored.agg(F.max(F.col(f"`{label}`"))).first()
    assert highest is not None
    truth = (F.col(f"`{label}`") == F.lit(highest[0])).cast("double")
    evaluator = BinaryClassificationEvaluator(
        rawPredictionCol="outlierScore", labelCol="truth", numBins=0
    )
    return float(evaluator.evaluate(scored.select("outlierScore", truth.alias("truth"))))
