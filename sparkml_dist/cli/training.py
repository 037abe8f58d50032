"""The steps of all training jobs: read, partition, fit, score held-out rows, plot, report."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from sparkml_dist.cli.options import reading
from sparkml_dist.cli.output import JobOutput
from sparkml_dist.cli.runner import Job
from sparkml_dist.cli.warm_up import (
    PICTURES,
    import_ahead,
    interpret_small,
    plan_wide,
    start_worker,
)
from sparkml_dist.dataset import PartitionedDataset, open_partitioned, partition, split
from sparkml_dist.dataset.manifest import MANIFEST
from sparkml_dist.dataset.many_columns import quoted
from sparkml_dist.dataset.packed_columns import WIDE
from sparkml_dist.dataset.schema import Precision
from sparkml_dist.errors import DataError
from sparkml_dist.metrics.evaluation import evaluate_classification
from sparkml_dist.metrics.metrics import ClassificationMetrics
from sparkml_dist.metrics.regression import RegressionMetrics, evaluate_regression
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.confusion import plot_confusion
from sparkml_dist.report.plots.regression import plot_regression
from sparkml_dist.tables.columns import find_column, listing
from sparkml_dist.tables.lines import TEXT_FORMATS, format_of
from sparkml_dist.tables.read import read_table
from sparkml_dist.tables.schema import Table
from sparkml_dist.tables.wide_parquet import packed_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from sparkml_dist.cli.output_metrics import OutputMetrics  # it imports networks

__all__ = [
    "Fit",
    "Plot",
    "Prepared",
    "evaluated",
    "held_out_rows",
    "read_training",
    "refuse_strings",
    "shard_plan",
    "train",
    "with_roles",
]

_logger = logging.getLogger(__name__)

_TEST_FRACTION = 0.2
_CALIBRATION_FRACTION = 0.1


@dataclass(frozen=True)
class Prepared:
    """The arguments of a fit.

    Attributes
    ----------
    data : PartitionedDataset or DataFrame
        The training rows; a DataFrame where the job partitions them itself.
    output : JobOutput
    held_out : DataFrame or None
        Training rows that are held out from `data`, where the job needs some for calibration.
    roles : mapping of str to str
        Columns of weights and keys, by role.
    label : str
        The label column.
    """

    data: Any
    output: JobOutput
    held_out: DataFrame | None
    roles: Mapping[str, str] = field(default_factory=dict)
    label: str = ""


# The model's class depends on the job.
Metrics: TypeAlias = "ClassificationMetrics | RegressionMetrics | OutputMetrics"
Fit = Callable[[Prepared], Any]
Evaluate = Callable[[Any, "DataFrame"], "Metrics"]
Plot = Callable[[Any, "DataFrame", "Metrics", Folder], None]


def train(
    args: argparse.Namespace,
    job: Job,
    fit: Fit,
    plot: Plot,
    *,
    ready: Callable[[SparkSession], None] | None = None,
    regression: bool = False,
    hold_out: bool = False,
    evaluate: Evaluate | None = None,
    on_table: bool = False,
    all_rows: bool = False,
    precision: Precision = "float32",
    worker_modules: Sequence[str] = (),
    packs: bool = False,
) -> None:
    """Run a training job and fill in its metrics document.

    Parameters
    ----------
    args : argparse.Namespace
        With the options of `add_training_options` and `add_common_options`.
    job : Job
    fit : callable
        ``fit(prepared)`` returns the model, saved in ``prepared.output.model``.
    plot : callable
        ``plot(model, test, metrics, folder)`` draws the plots of this kind of model.
    ready : callable, optional
        ``ready(spark)`` raises where the session cannot run the job; called before any Spark job.
    regression : bool, default=False
        Whether the label is a number.
    hold_out : bool, default=False
        Whether to hold out a tenth of the training rows from the shards.
    evaluate : callable, optional
        ``evaluate(model, test)`` for a model that is neither a classifier nor a regressor.
    on_table : bool, default=False
        Whether `fit` takes the rows of the table, strings among them, and partitions them itself.
    all_rows : bool, default=False
        Whether all rows are fitted, and evaluated, where neither ``--test`` nor
        ``--test-fraction`` is given.
    precision : {"float32", "float64"}, default="float32"
        Type of the features in shards.
    worker_modules : sequence of str
        Modules that tasks of the fit import, for a worker to import while the table is read.
    packs : bool, default=False
        Whether `fit` and the model take the numeric columns of a wide table as one array; see
        `packed_columns`.
    """
    output = job.output
    assert output is not None
    output.overwrite, output.resume = args.overwrite, args.resume
    plan = shard_plan(args, regression=regression, precision=precision)
    output.check(plan)
    for uri in filter(None, (args.train, args.test)):
        format_of(uri, args.format)
    document = job.document
    lent = None
    if args.shards_from is not None:
        lender = JobOutput(Folder.at(args.shards_from))
        lent = lender.shards_for(plan)
        if lender.home.same_place(output.home):
            output.kept.add("shards")
    import_ahead(PICTURES)
    spark = job.spark
    start_worker(spark, worker_modules)
    if ready is not None:
        ready(spark)
    with job.stage("read"):
        interpret_small(spark, args.train)
        table = read_training(args, spark)
        table, roles = with_roles(args, table)
        if not on_table:
            refuse_strings(table)
        if packs:
            table = _packed(table)
        if len(table.features) >= WIDE:
            plan_wide(spark, len(table.features))
        shared = all_rows and args.test is None and args.test_fraction is None
        learn, test = (
            (table.df, table.df) if shared else held_out_rows(args, job, table, roles, packs=packs)
        )
        held_out = None
        if hold_out:
            # Another seed: the rows that this one selects are in the test set already.
            learn, held_out = split(
                learn, _CALIBRATION_FRACTION, seed=args.seed + 1, key=roles.get("key")
            )
        # The test rows are scored several times; without the cache, every pass would read and parse
        # the whole source again.
        if not shared:
            test = test.cache()
        if test.isEmpty():  # before the fit, not after it
            raise DataError(
                "no_validation_rows",
                "No rows are held out to evaluate the model on.",
                "Equal rows, or those of one --key, are held out together or not at all: give more "
                "rows, another --test-fraction, or --test.",
            )
    with job.stage("partition"):
        resumed = output.claim(plan)
        if on_table:
            used = dict.fromkeys([*table.features, table.label, *roles.values()])
            rows: Any = learn.select(*quoted(list(used)))
        else:
            rows = data = lent or _shards(
                args,
                table,
                learn,
                output,
                roles,
                resumed=resumed,
                regression=regression,
                precision=precision,
            )
            _note(job, data)
    with job.stage("fit"):
        model = fit(Prepared(rows, output, held_out, roles, table.label))
        if on_table:
            data = open_partitioned(output.shards.location)
            _note(job, data)
        model.table = table.schema.to_dict()
        model._save_manifest()
    with job.stage("evaluate"):
        metrics = evaluate(model, test) if evaluate else evaluated(model, test, table.label)
    document.metrics = metrics.to_dict()
    document.more.update(
        test_rows=metrics.rows,
        shards=len(data.shards),
        output={
            "model": output.place("model"),
            "shards": lent.location if lent else output.place("shards"),
            "plots": output.place("plots"),
        },
    )
    if isinstance(metrics, ClassificationMetrics | RegressionMetrics):
        document.more["intervals"] = {k: list(v) for k, v in metrics.intervals.items()}
    if isinstance(metrics, ClassificationMetrics):
        document.more["unknown_label_rows"] = metrics.unknown_label_rows
        if metrics.unknown_label_rows:
            _logger.warning(
                "%s test rows have a label that is not in the training data; they count as wrong",
                f"{metrics.unknown_label_rows:,}",
            )
    with job.stage("plot"):
        if isinstance(metrics, ClassificationMetrics):
            plot_confusion(metrics.confusion, metrics.classes, output.plots)
        elif isinstance(metrics, RegressionMetrics):
            plot_regression(model.transform(test), table.label, output.plots)
        plot(model, test, metrics, output.plots)
    output.commit(document)


def _note(job: Job, data: PartitionedDataset) -> None:
    """Add the facts of the shards to the metrics document."""
    job.document.rows, job.document.features = data.n_rows, data.n_features
    job.document.classes = len(data.classes or ())
    _logger.info("%r", data)


def evaluated(model: Any, test: DataFrame, label: str) -> Metrics:
    """Return the metrics of a model on rows with a label."""
    scored = model.transform(test)
    if model.label.is_regression:
        return evaluate_regression(scored, label_col=label)
    return evaluate_classification(scored, label_col=label, classes=model.classes)


def with_roles(args: argparse.Namespace, table: Table) -> tuple[Table, dict[str, str]]:
    """Return the table with weight and key removed from the features, and their names."""
    roles = {
        role: find_column(wanted, table.df.columns, role, repr(args.train))
        for role, wanted in (("weight", args.weight), ("key", args.key))
        if wanted is not None
    }
    taken = {*roles.values()}
    features = tuple(n for n in table.features if args.features or n not in taken)
    return replace(table, schema=replace(table.schema, features=features)), roles


def refuse_strings(table: Table) -> None:
    """Raise where features hold strings that are not named as categorical."""
    schema = table.schema
    strings = [n for n in table.features if schema.kind(n) == "string"]
    categories = {*table.categorical}
    strings = [n for n in strings if n not in categories]
    if strings:
        raise DataError(
            "non_numeric_feature",
            f"{len(strings)} feature column(s) hold strings: {listing(strings)}.",
            "Name those that hold categories with --categorical (auto: all of them), or the "
            "features with --features.",
        )


def shard_plan(
    args: argparse.Namespace, *, regression: bool, precision: Precision = "float32"
) -> dict[str, Any]:
    """Return the plan of shards and held-out rows, the same for all training jobs."""
    names = (
        "train",
        "test",
        "test_fraction",
        "format",
        "header",
        "delimiter",
        "encoding",
        "comment",
        "decimal",
        "types",
        "text",
        "label",
        "features",
        "categorical",
        "missing",
        "weight",
        "key",
        "calibrate",
        "shards",
        "memory_per_task",
        "shards_from",
        "seed",
    )
    plan = {**{name: getattr(args, name, None) for name in names}, "regression": regression}
    return plan if precision == "float32" else {**plan, "precision": precision}


def read_training(args: argparse.Namespace, spark: SparkSession) -> Table:
    """Return the table of ``--train``, with the columns of weights and keys as such."""
    options = reading(args)
    if format_of(args.train, args.format) in TEXT_FORMATS:
        # A key is read as text: 00001 is not 1, and a double may not hold all digits.
        roles = {args.weight: "number"} | ({} if args.features else {args.key: "text"})
        options["types"] = {k: v for k, v in roles.items() if k is not None} | options["types"]
    return read_table(
        spark,
        args.train,
        label=args.label,
        features=args.features,
        categorical=args.categorical,
        **options,
    )


def _packed(table: Table) -> Table:
    """Return a table with its numeric features as one array, where it is wide."""
    df = packed_table(table)
    return table if df is None else replace(table, df=df)


def held_out_rows(
    args: argparse.Namespace,
    job: Job,
    table: Table,
    roles: dict[str, str],
    *,
    packs: bool = False,
) -> tuple[DataFrame, DataFrame]:
    """Return the training rows, and those that are held out or read from ``--test``."""
    if args.test is None:
        fraction = _TEST_FRACTION if args.test_fraction is None else args.test_fraction
        return split(table.df, fraction, seed=args.seed, key=roles.get("key"))
    options = {k: v for k, v in reading(args).items() if k not in ("types", "text", "missing")}
    test = read_table(job.spark, args.test, schema_from=table.schema, **options)
    return table.df, (_packed(test) if packs else test).df


def _shards(
    args: argparse.Namespace,
    table: Table,
    learn: DataFrame,
    output: JobOutput,
    roles: dict[str, str],
    *,
    resumed: bool,
    regression: bool,
    precision: Precision,
) -> PartitionedDataset:
    if resumed and output.shards.exists(MANIFEST):
        _logger.info("reusing the shards in %s", output.shards.location)
        return open_partitioned(output.shards.location)
    return partition(
        learn,
        output.shards.location,
        label=table.label,
        features=table.features,
        categorical=table.categorical,
        weight=roles.get("weight"),
        key=roles.get("key"),
        task="regression" if regression else "classification",
        shards=args.shards,
        memory_per_task=args.memory_per_task,
        precision=precision,
        seed=args.seed,
    )
