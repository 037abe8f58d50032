"""The steps of federated training: read, form silos, train, score each silo, keep the ledger."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sparkml_dist.cli.federated import federated_estimator, is_glm
from sparkml_dist.cli.runner import Job
from sparkml_dist.cli.training import (
    evaluated,
    held_out_rows,
    read_training,
    refuse_strings,
    shard_plan,
    with_roles,
)
from sparkml_dist.cli.warm_up import PICTURES, import_ahead
from sparkml_dist.dataset.many_columns import quoted
from sparkml_dist.errors import DataError, TrainingError
from sparkml_dist.federated.federation import Federation
from sparkml_dist.federated.ledger_page import ledger_page
from sparkml_dist.federated.silo_estimator import federation_summary
from sparkml_dist.federated.simulation.silo_metrics import SiloMetrics, silo_metrics
from sparkml_dist.metrics.metrics import ClassificationMetrics
from sparkml_dist.metrics.regression import RegressionMetrics
from sparkml_dist.report.plots.confusion import plot_confusion
from sparkml_dist.report.plots.regression import plot_regression
from sparkml_dist.tables.columns import find_column
from sparkml_dist.tables.lines import format_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from sparkml_dist.cli.output import JobOutput
    from sparkml_dist.tables.schema import Table

__all__ = ["train_federated"]

_logger = logging.getLogger(__name__)

LEDGER, LEDGER_PAGE = "ledger.csv", "ledger.html"
# Options of this job that decide which rows and columns silos have, or what is fitted to them.
_OWN = (
    *("silo", "model", "strategy", "aggregation", "rounds", "family", "estimator"),
    *("estimator_params", "members", "max_depth", "local_epochs", "local_steps", "batch_size"),
    *("learning_rate", "participation", "weighting", "secure", "privacy", "noise_multiplier"),
    *("clip", "delta", "max_epsilon", "min_silos", "handle_invalid", "input_shape"),
)


def train_federated(
    args: argparse.Namespace, job: Job, ready: Callable[[SparkSession], None]
) -> None:
    """Run the job, and fill in its metrics document.

    Parameters
    ----------
    args : argparse.Namespace
    job : Job
    ready : callable
        ``ready(spark)`` raises for settings that cannot be; called before any Spark job.
    """
    output = job.output
    assert output is not None
    output.overwrite, output.resume = args.overwrite, args.resume
    plan = shard_plan(args, regression=args.regression, precision="float64")
    plan |= {name: getattr(args, name) for name in _OWN}
    output.check(plan)
    for uri in filter(None, (args.train, args.test)):
        format_of(uri, args.format)
    import_ahead(PICTURES)
    spark = job.spark
    ready(spark)
    with job.stage("read"):
        table, learn, test, roles, silo = _rows(args, job)
    with job.stage("partition"):
        output.claim(plan)
        federation = Federation.from_frame(
            learn,
            silo,
            label=table.label,
            features=list(table.features),
            weight=roles.get("weight"),
            key=roles.get("key"),
            categorical=list(table.categorical),
            task="regression" if args.regression else "classification",
            seed=args.seed,
            folder=output.shards.location,
        )
    if (args.min_silos or 1) > len(federation.names):
        raise TrainingError(
            "too_few_silos",
            f"--min-silos {args.min_silos}: the column {silo!r} has {len(federation.names)} silos.",
            "Ask for fewer.",
        )
    with job.stage("fit"):
        model = _fit(args, job, federation, output)
        model.table = table.schema.to_dict()
        model._save_manifest()
        schema = federation.schema
        job.document.rows = sum(schema.rows.values()) or None
        job.document.features, job.document.classes = schema.n_features, schema.n_classes
        _note_ledger(job, federation, output)
    with job.stage("evaluate"):
        metrics = evaluated(model, test, table.label)
        silos = silo_metrics(
            model.transform(test),
            siloCol=silo,
            labelCol=table.label,
            classes=list(model.label.classes) or None,
        )
    _fill(job, metrics, silos, output)
    with job.stage("plot"):
        if isinstance(metrics, ClassificationMetrics):
            plot_confusion(metrics.confusion, metrics.classes, output.plots)
        else:
            plot_regression(model.transform(test), table.label, output.plots)
    output.commit(job.document)


def _rows(
    args: argparse.Namespace, job: Job
) -> tuple[Table, DataFrame, DataFrame, dict[str, str], str]:
    """Return the table, training and test rows, columns by role, and the column of silos."""
    table = read_training(args, job.spark)
    table, roles = with_roles(args, table)
    silo = find_column(args.silo, table.df.columns, "silo", repr(args.train))
    features = tuple(name for name in table.features if name != silo)
    categorical = tuple(name for name in table.categorical if name != silo)
    table = replace(table, schema=replace(table.schema, features=features, categorical=categorical))
    refuse_strings(table)
    all_rows = is_glm(args) and args.test is None and args.test_fraction is None
    learn, test = (table.df, table.df) if all_rows else held_out_rows(args, job, table, roles)
    if args.handle_invalid == "skip":
        known = " AND ".join(f"{name} IS NOT NULL" for name in quoted(list(features)))
        learn, test = learn.where(known), test.where(known)
    (column,) = quoted([silo])
    test = test.where(f"{column} IS NOT NULL").cache()
    if test.isEmpty():
        raise DataError(
            "no_validation_rows",
            "No rows are held out to evaluate the model on.",
            "Give more rows, another --test-fraction, or --test.",
        )
    used = dict.fromkeys([*features, table.label, silo, *roles.values()])
    return table, learn.select(*quoted(list(used))), test, roles, silo


def _fit(args: argparse.Namespace, job: Job, federation: Federation, output: JobOutput) -> Any:
    place: dict[str, Any] = {"modelDir": output.model.location, "overwrite": True}
    if not is_glm(args):
        estimator = federated_estimator(args, seed=args.seed, **place)
        return estimator._fit_federation(federation)
    from sparkml_dist.federated.privacy import SecureSum
    from sparkml_dist.federated.statistics.glm import coefficients_and_errors, federated_glm

    model = federated_glm(
        federation,
        family=args.family or ("gaussian" if args.regression else "binomial"),
        minimumSilos=args.min_silos,
        secure=SecureSum(bits=64) if args.secure else None,
        **place,
    )
    found = coefficients_and_errors(model)
    job.document.more.update({k: v for k, v in found.items() if k not in ("rows", "silos")})
    return model


def _note_ledger(job: Job, federation: Federation, output: JobOutput) -> None:
    """Write the ledger beside the model, and its sums into the metrics document."""
    ledger = federation.audit()
    output.folder.write_bytes(LEDGER, ledger.to_csv(index=False).encode())
    ledger_page(ledger, output.folder.uri(LEDGER_PAGE))
    facts = federation_summary(federation)
    job.document.more.update(
        {name: facts[name] for name in ("rounds", "bytes_per_silo_round", "epsilon", "left_out")}
    )
    answers = ledger["direction"] == "answer"
    job.document.more["ledger"] = [
        {
            "kind": kind,
            "rounds": int(own["round"].nunique()),
            "silos": int(own["silo"].nunique()),
            "request_bytes": int(own.loc[~answers, "bytes"].sum()),
            "answer_bytes": int(own.loc[answers, "bytes"].sum()),
            "refused": int((own["refused"].fillna("") != "").sum()),
        }
        for kind, own in ledger.groupby("kind", sort=False)
    ]
    job.document.parts = {"silos": len(federation.names)}


def _fill(job: Job, metrics: Any, silos: SiloMetrics, output: JobOutput) -> None:
    document = job.document
    document.metrics = metrics.to_dict()
    document.more.update(
        test_rows=metrics.rows,
        by_silo=silos.to_dict(),
        output={
            name: output.place(name) for name in ("model", "shards", "plots", LEDGER, LEDGER_PAGE)
        },
    )
    if isinstance(metrics, ClassificationMetrics | RegressionMetrics):
        document.more["intervals"] = {k: list(v) for k, v in metrics.intervals.items()}
    _logger.info("the worst silo is %s: %s %.4f", silos.worst_silo, silos.metric, silos.worst)
