"""Learns a Bayesian network from a table of categories."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sparkml_dist.cli.options import plan_of, reading
from sparkml_dist.cli.runner import Job
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.errors import UsageError
from sparkml_dist.graphical.network_estimator import BayesianNetwork
from sparkml_dist.tables.lines import format_of
from sparkml_dist.tables.read import read_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.tables.schema import Table

__all__ = ["learn_graph"]

_FILES = ("network.bif", "network.png", "network.svg")
# Facts of a fit that the metrics document shows.
_SHOWN = (
    "score",
    "scores",
    "parameters",
    "passes",
    "form",
    "mutual_information",
    "undirected",
    "steps",
    "families",
    "families_too_large",
    "tests",
    "em",
    "strengths",
)
#: Options and the Params that they set.
_PARAMS = {
    "structure": "structure",
    "score": "score",
    "equivalent_sample_size": "equivalentSampleSize",
    "max_parents": "maxParents",
    "tabu_length": "tabuLength",
    "restarts": "numRestarts",
    "white_list": "whiteList",
    "black_list": "blackList",
    "independence_test": "test",
    "alpha": "alpha",
    "correction": "correction",
    "estimation": "estimation",
    "handle_invalid": "handleInvalid",
    "bootstraps": "numBootstraps",
    "form": "form",
    "seed": "seed",
}


def learn_graph(args: argparse.Namespace, job: Job) -> None:
    """Run the job and fill in its metrics document.

    Parameters
    ----------
    args : argparse.Namespace
        See ``jobs/learn_network.py``.
    job : Job

    Raises
    ------
    UsageError
        ``usage`` for a structure that needs a class.
    StorageError, DataError, ConfigurationError
        As raised by reading the table and by `BayesianNetwork.fit`.
    """
    estimator = _estimator(args)
    assert job.output is not None
    output = job.output
    output.overwrite, output.resume = args.overwrite, args.resume
    format_of(args.input, args.format)
    plan = plan_of(args)
    if output.check(plan) and job.already_done(output):
        return
    with job.stage("read"):
        df, names, label = _variables(args, job)
        estimator.setParams(featuresCols=names, targetCol=label)
    with job.stage("fit"):
        model = estimator.fit(df)
    output.claim(plan)
    folder, document = output.folder, job.document
    with job.stage("write"):
        output.model.delete()
        for name in _FILES:
            folder.delete_file(name)
        model.save(output.model.location)
        model.to_bif(folder.uri("network.bif"))
        for name in _FILES[1:]:
            model.plot(folder.uri(name))
    facts = model.summary
    document.rows, document.features = facts["rows"], len(model.network.names)
    document.more["structure"] = args.structure
    document.more["arcs"] = [list(arc) for arc in model.arcs]
    document.more["model_string"] = str(model.network)
    document.more.update({name: facts[name] for name in _SHOWN if name in facts})
    document.more["output"] = {name: output.place(name) for name in ("model", *_FILES)}
    output.commit(document)


def _estimator(args: argparse.Namespace) -> BayesianNetwork:
    """Return the estimator that the options describe, before Spark starts."""
    if args.structure in ("naive-bayes", "tan") and args.label is None:
        raise UsageError(
            "usage", f"--structure {args.structure} needs --label, the class.", "Name the class."
        )
    given: dict[str, Any] = {param: getattr(args, name) for name, param in _PARAMS.items()}
    estimator = BayesianNetwork(**given, targetCol=args.label)
    estimator._fit_plan()
    return estimator


def _variables(args: argparse.Namespace, job: Job) -> tuple[DataFrame, list[str], str | None]:
    """Return the table, the columns that are variables, and the class."""
    table = read_table(
        job.spark,
        args.input,
        label=args.label,
        features=args.features,
        label_optional=True,
        **reading(args),
    )
    df, features = table.df, table.features
    if table.schema.format == "libsvm":
        df, features = _spread(table)
    names = [*features, table.label] if table.label in df.columns else features
    order = [name for name in df.columns if name in names]
    return df, order, table.label if args.label is not None else None


def _spread(table: Table) -> tuple[DataFrame, list[str]]:
    """Return the features of a libsvm file as columns ``x1``, ``x2`` and so on."""
    label = table.label
    first = 0 if table.schema.zero_based else 1
    names = [f"x{i + first}" for i in range(table.schema.n_features)]
    column = FeatureColumn("features", "struct", table.schema.n_features)
    schema = FeatureSchema.build([column], sparse=False)
    fields = ", ".join([*(f"{name} float" for name in names), f"{label} double"])

    def spread(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            features = np.asarray(schema.encode([batch.column(0)]))
            columns = [pa.array(np.ascontiguousarray(values)) for values in features.T]
            yield pa.RecordBatch.from_arrays([*columns, batch.column(1)], [*names, label])

    return table.df.select("features", label).mapInArrow(spread, fields), names
