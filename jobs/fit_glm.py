"""Fit a linear, logistic or generalized linear model over all rows, with standard errors."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import TYPE_CHECKING, Any

from sparkml_dist.cli.linear_models import (
    add_linear_options,
    is_regression,
    linear_estimator,
    linear_params,
)
from sparkml_dist.cli.options import JobParser, add_common_options, add_training_options
from sparkml_dist.cli.runner import Job, run_job
from sparkml_dist.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from sparkml_dist.cli.training import Prepared
    from sparkml_dist.persistence.filesystem import Folder
    from sparkml_dist.statistics.linear_model import LinearModel

NAME = "fit_glm"

_logger = logging.getLogger("sparkml_dist")


def options() -> JobParser:
    """Return the job's options."""
    parser = JobParser(
        NAME,
        "Partition a data set into shards, fit a generalized linear model to all of its rows "
        "(less those of --test-fraction), and save it with standard errors and tests.",
        [
            "--train table.csv --output out --label cost",
            "--train table.csv --output out --family binomial --categorical auto",
            "--train claims.csv --output out --family poisson --offset log_exposure --robust hc3",
            "--train wide.parquet --output out --alphas 1 .1 .01 .001 --l1-ratio 1",
        ],
    )
    add_training_options(parser)
    add_linear_options(parser)
    add_common_options(parser)
    return parser


def main(args: argparse.Namespace, job: Job) -> None:
    """Run the job."""
    linear_params(args)
    from sparkml_dist.cli.training import evaluated, train
    from sparkml_dist.report.plots.coefficients import plot_coefficients

    def ready(spark: SparkSession) -> None:
        linear_estimator(args)._check_params(spark)

    def fit(prepared: Prepared) -> LinearModel:
        classes = prepared.data.classes or []
        if args.family == "binomial" and len(classes) > 2:
            raise DataError(
                "target_not_of_family",
                f"--family binomial is for two classes; {prepared.label!r} has {len(classes)}.",
                "Use --family multinomial.",
            )
        estimator = linear_estimator(
            args,
            seed=args.seed,
            memoryPerTask=args.memory_per_task,
            modelDir=prepared.output.model.location,
            overwrite=args.overwrite,
            resume=args.resume,
        )
        model: LinearModel = estimator.fit(prepared.data)
        job.document.seconds["solve"] = model.summary["seconds"]["fit"]
        job.document.more.update(_statistics(model))
        _logger.info("\n%s", model.summary())
        return model

    def evaluate(model: LinearModel, test: DataFrame) -> Any:
        return evaluated(model, _complete(model, test), model.label.column)

    def plot(
        model: LinearModel,
        test: DataFrame,  # noqa: ARG001 - part of the signature of all jobs
        metrics: Any,  # noqa: ARG001
        folder: Folder,
    ) -> None:
        intervals = model.confidenceIntervals() if model._has_covariance() else None
        plot_coefficients(model.coefficients, intervals, folder)

    train(
        args,
        job,
        fit,
        plot,
        ready=ready,
        regression=is_regression(args),
        evaluate=evaluate if args.handle_invalid == "skip" else None,
        all_rows=True,
        precision="float64",
    )


def _complete(model: LinearModel, rows: DataFrame) -> DataFrame:
    """Return the rows without missing features, which alone have a prediction."""
    from sparkml_dist.dataset.many_columns import quoted

    known = [f"{name} IS NOT NULL" for name in quoted([c.name for c in model.schema.columns])]
    return rows.where(" AND ".join(known))


def _statistics(model: LinearModel) -> dict[str, Any]:
    """Return the entries of the metrics document."""
    facts = model.summary
    found: dict[str, Any] = {
        "coefficients": model.coefficients,
        "log_likelihood": model.logLikelihood,
        "deviance": model.deviance,
        "null_deviance": model.nullDeviance,
        "aic": model.aic,
        "bic": model.bic,
        "dispersion": model.dispersion,
        "degrees_of_freedom": model.degreesOfFreedom,
        "covariance": model.content["covariance"],
        "reference_categories": model._design().references,
    }
    names = ("iterations", "converged", "stopped", "solver", "factorization", "condition")
    found |= {name: facts[name] for name in (*names, "dropped", "form", "passes", "alpha", "path")}
    if model._has_covariance():
        found |= {
            "standard_errors": model.standardErrors,
            "test_statistics": model.testStatistics,
            "p_values": model.pValues,
            "confidence_intervals": model.confidenceIntervals(),
        }
    if model.content["family"]["name"] == "negative_binomial":
        found["overdispersion"] = model.content["family"]["overdispersion"]
    for name, title in (("r2", "r2"), ("adjustedR2", "adjusted_r2"), ("pseudoR2", "pseudo_r2")):
        if hasattr(model, name):
            found[title] = getattr(model, name)
    return found


if __name__ == "__main__":
    sys.exit(run_job(NAME, options(), main))
