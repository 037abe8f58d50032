"""Mines itemsets, and optionally rules, from a file of baskets."""

from __future__ import annotations

import argparse
import logging
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from sparkml_dist.cli.choices import BASKET_FORMATS
from sparkml_dist.cli.options import plan_of
from sparkml_dist.cli.output import JobOutput
from sparkml_dist.cli.runner import Job
from sparkml_dist.dataset.parquet import read_parquet
from sparkml_dist.errors import ConfigurationError, DataError, UsageError, nearest
from sparkml_dist.mining.itemsets.baskets import read_baskets
from sparkml_dist.mining.itemsets.frequent_itemsets import FrequentItemsets
from sparkml_dist.persistence.parquet import write_parquet
from sparkml_dist.tables.encoding import check_encoding
from sparkml_dist.tables.libsvm import read_libsvm
from sparkml_dist.tables.lines import first_lines, input_errors
from sparkml_dist.tables.read import read_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.mining.itemsets.itemsets_model import FrequentItemsetsModel

__all__ = ["mine_itemsets"]

_logger = logging.getLogger(__name__)

_SUFFIXES = {
    ".dat": "dat",
    ".txt": "dat",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".svm": "libsvm",
    ".libsvm": "libsvm",
}
_PACKED = (".gz", ".bz2", ".zst")


def mine_itemsets(args: argparse.Namespace, job: Job) -> None:
    """Run the job and fill in its metrics document.

    Parameters
    ----------
    args : argparse.Namespace
        See ``jobs/mine_itemsets.py``.
    job : Job

    Raises
    ------
    UsageError
        ``usage`` for options that exclude each other.
    StorageError
        ``output_exists``, ``file_not_found``, ``file_not_read``.
    ConfigurationError, DataError
        As raised by `FrequentItemsets.fit`.
    """
    if args.rules and args.target != "frequent":
        raise UsageError(
            "usage",
            f"--rules needs all frequent itemsets, not the {args.target} ones.",
            "Leave --target out.",
        )
    format_ = _format(args)
    assert job.output is not None
    output = job.output
    output.overwrite, output.resume = args.overwrite, args.resume
    plan = plan_of(args)
    if output.check(plan) and job.already_done(output):
        return
    spark = job.spark
    with job.stage("read"):
        baskets = _baskets(args, job, format_)
    output.claim(plan)
    itemsets = output.folder.child("itemsets")
    for left in (itemsets, output.folder.child("rules")):  # left by an interrupted run
        left.delete()
    with job.stage("mine"):
        model = FrequentItemsets(
            itemsCol=args.items or "items",
            basketCol=args.basket,
            minSupport=args.min_support,
            minCount=args.min_count,
            target=args.target,
            maxLength=args.max_length,
            maxItemsets=args.max_itemsets,
            memoryPerTask=args.memory_per_task,
        ).fit(baskets)
    with job.stage("write"):
        written = write_parquet(model.itemsets, itemsets)
    document = job.document
    document.rows = model.numBaskets
    document.more["itemsets"] = model.numItemsets
    document.more["itemsets_by_size"] = {str(k): v for k, v in model.sizes.items()}
    document.more["min_count"] = model.minCount
    document.more["output"] = {"itemsets": output.place("itemsets")}
    document.peak_worker_rss_mb = round(model.summary["peak_worker_rss"] / 2**20, 1)
    document.more["mining"] = model.summary
    if args.rules:
        with job.stage("rules"):
            _rules(args, job, output, model, written.read(spark))
    output.commit(document)


def _rules(
    args: argparse.Namespace,
    job: Job,
    output: JobOutput,
    model: FrequentItemsetsModel,
    itemsets: DataFrame,
) -> None:
    from pyspark.sql import functions as F

    from sparkml_dist.mining.rules.association_rules import AssociationRules

    model.unpersist()
    estimator = AssociationRules(
        minConfidence=args.min_confidence,
        maxConsequent=args.max_consequent,
        numBaskets=model.numBaskets,
        memoryPerTask=args.memory_per_task,
    )
    target = output.folder.child("rules")
    written = write_parquet(estimator.fit(itemsets).rules, target)
    sizes = (
        written.read(job.spark)
        .groupBy((F.size("antecedent") + F.size("consequent")).alias("size"))
        .count()
        .orderBy("size")
        .collect()
    )
    job.document.more["rules"] = sum(row["count"] for row in sizes)
    job.document.more["rules_by_size"] = {str(row["size"]): row["count"] for row in sizes}
    job.document.more["output"]["rules"] = output.place("rules")


def _format(args: argparse.Namespace) -> str:
    """Return the format of the input; raise for options of another format."""
    found: str | None = args.format
    if found is None:
        suffixes = PurePosixPath(args.input.lower()).suffixes
        if suffixes and suffixes[-1] in _PACKED:
            suffixes.pop()
        found = _SUFFIXES.get(suffixes[-1]) if suffixes else "parquet"
    if found is None:
        raise ConfigurationError(
            "unknown_format",
            f"The name {args.input!r} does not tell the format of the data.",
            f"Set --format to one of {', '.join(BASKET_FORMATS)}.",
        )
    for option, value, formats in (
        ("--items", args.items, ("csv", "parquet")),
        ("--basket", args.basket, ("csv", "parquet")),
        ("--label-as-item", args.label_as_item, ("libsvm",)),
        ("--no-header", args.no_header, ("csv",)),
        ("--delimiter", args.delimiter, ("dat", "csv")),
        ("--encoding", args.encoding, ("dat", "csv")),
    ):
        if value and found not in formats:
            raise ConfigurationError(
                "option_not_used",
                f"{option} is for {' and '.join(formats)}; {args.input!r} is read as {found}.",
                "Leave it out, or set --format.",
            )
    if found == "csv" and not (args.items and args.basket):
        raise UsageError(
            "usage",
            "A CSV file of baskets needs --items COL and --basket COL, since a row is one item.",
            "Use --format dat for a file with one basket per line.",
        )
    return found


def _baskets(args: argparse.Namespace, job: Job, format_: str) -> DataFrame:
    spark = job.spark
    if format_ == "dat":
        first_lines(spark, args.input, 1000, check_encoding(args.encoding))
        return read_baskets(spark, args.input, delimiter=args.delimiter, encoding=args.encoding)
    if format_ == "libsvm":
        return _from_libsvm(args, job)
    if format_ == "parquet":
        with input_errors(args.input):
            return read_parquet(spark, args.input)
    tab = args.input.lower().endswith((".tsv", ".tsv.gz"))
    df = read_table(
        spark,
        args.input,
        format="tsv" if tab else "csv",
        header=not args.no_header,
        delimiter=args.delimiter,
        encoding=args.encoding,
        label=0,  # required, but not used here
        text=["*"],
    ).df
    columns = df.columns
    args.items, args.basket = (_column(name, columns) for name in (args.items, args.basket))
    return df


def _column(wanted: str, columns: list[str]) -> str:
    """Return the column with a name, or at an index from 0."""
    if wanted in columns:
        return wanted
    if wanted.isdigit() and int(wanted) < len(columns):
        return columns[int(wanted)]
    raise DataError(
        "column_not_found",
        f"There is no column {wanted!r}.{nearest(wanted, columns)}",
        f"The columns are: {', '.join(columns[:20])}.",
    )


def _from_libsvm(args: argparse.Namespace, job: Job) -> DataFrame:
    """Return the nonzero features as items, and the label as one more if asked for."""
    from pyspark.sql import functions as F

    table = read_libsvm(job.spark, args.input)
    base = 0 if table.schema.zero_based else 1
    present = F.filter(
        F.arrays_zip("features.indices", "features.values"), lambda pair: pair["values"] != 0
    )
    items = F.transform(present, lambda pair: (pair["indices"] + base).cast("string"))
    if args.label_as_item:
        whole = F.col("label").cast("bigint")
        label = F.when(F.col("label") == whole, whole.cast("string")).otherwise(
            F.col("label").cast("string")
        )
        items = F.concat(items, F.array(F.concat(F.lit("label="), label)))
    return table.df.select(items.alias("items"))
