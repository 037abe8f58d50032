"""Finds clusters in a table, and compares them with true clusters where they are given."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.cli.choices import CLUSTER_METHODS
from sparkml_dist.cli.points import claimed_output, read_points
from sparkml_dist.cli.runner import Job
from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.errors import UsageError
from sparkml_dist.mining.clusters.dbscan import DBSCAN
from sparkml_dist.mining.clusters.kmeans import KMeans
from sparkml_dist.mining.clusters.kmedoids import KMedoids
from sparkml_dist.mining.clusters.mini_batch_kmeans import MiniBatchKMeans
from sparkml_dist.persistence.parquet import write_parquet

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["adjusted_rand", "find_clusters"]

# The methods that have an option.
_OPTIONS = {
    "eps": ("dbscan",),
    "min_points": ("dbscan",),
    "memory_per_task": ("dbscan",),
    "k": CLUSTER_METHODS[1:],
    "distance_measure": ("kmedoids",),
}


def find_clusters(args: argparse.Namespace, job: Job) -> None:
    """Run the job and fill in its metrics document.

    Parameters
    ----------
    args : argparse.Namespace
        See ``jobs/cluster.py``.
    job : Job

    Raises
    ------
    StorageError, DataError, ConfigurationError
        As raised by reading the table and by `fit`.
    """
    estimator = _estimator(args)
    estimator._check()  # before Spark starts
    output, resumed = claimed_output(args, job)
    if resumed and job.already_done(output):
        return
    table = read_points(args, job)
    rows, work = output.folder.child("rows"), output.folder.child("work")
    for left in (output.model, rows, work):  # left by an interrupted run
        left.delete()
    estimator.setParams(featuresCols=table.features)
    if args.method == "dbscan":
        estimator.setParams(modelDir=work.location)
    try:
        with job.stage("fit"):
            model = estimator.fit(table.df)
            model.save(output.model.location)
        with job.stage("label"):
            table_written = write_parquet(model.transform(table.df), rows)
    finally:
        work.delete()
    document = job.document
    with job.stage("evaluate"):
        written = table_written.read(job.spark)
        document.rows, document.features = written.count(), model.numFeatures
        document.more["clusters"] = model.numClusters
        document.more["noise"] = written.where("prediction < 0").count()
        for name in ("core_points", "k", "inertia", "cost", "silhouette", "scores"):
            if name in model.summary:
                document.more[name] = model.summary[name]
        if table.label:
            document.metrics["adjusted_rand"] = adjusted_rand(written, table.label)
    peak = model.summary.get("peak_worker_rss")
    document.peak_worker_rss_mb = None if peak is None else round(peak / 2**20, 1)
    document.more["clustering"] = model.summary
    document.more["output"] = {"model": output.place("model"), "rows": output.place("rows")}
    output.commit(document)


def _estimator(args: argparse.Namespace) -> Any:
    """Return the estimator that the options describe.

    Raises
    ------
    UsageError
        ``usage``.
    """
    for option, methods in _OPTIONS.items():
        if getattr(args, option) is not None and args.method not in methods:
            raise UsageError(
                "usage",
                f"--{option.replace('_', '-')} does not go with --method {args.method}.",
                f"It is for --method {', '.join(methods)}.",
            )
    if args.method == "dbscan":
        if args.eps is None:
            raise UsageError(
                "usage",
                "--method dbscan needs --eps, the radius of a neighbourhood.",
                "Give --eps, or another --method.",
            )
        return DBSCAN(eps=args.eps, minPoints=args.min_points, memoryPerTask=args.memory_per_task)
    ks = args.k or [8]
    if args.method == "kmeans":
        tried = {"ks": ks} if len(ks) > 1 else {"k": ks[0]}
        return KMeans(seed=args.seed, **tried)
    if len(ks) > 1:
        raise UsageError(
            "usage", f"--method {args.method} takes one --k. Got {ks[0]}:{ks[-1]}.", "Use kmeans."
        )
    if args.method == "kmedoids":
        return KMedoids(k=ks[0], distanceMeasure=args.distance_measure, seed=args.seed)
    return MiniBatchKMeans(k=ks[0], seed=args.seed)


def adjusted_rand(labelled: DataFrame, label: str) -> float | None:
    """Return the adjusted Rand index (Hubert and Arabie 1985); noise counts as one cluster."""
    counts = labelled.groupBy(named_column(label), "prediction").count()
    table = counts.toArrow()
    number = table.column(2).to_numpy().astype(np.float64)

    def pairs(keys: list[object]) -> float:
        total: dict[object, float] = {}
        for key, n in zip(keys, number, strict=True):
            total[key] = total.get(key, 0.0) + n
        sizes = np.array(list(total.values()))
        return float((sizes * (sizes - 1)).sum() / 2)

    together = float((number * (number - 1)).sum() / 2)
    truth, found = (pairs(table.column(i).to_pylist()) for i in (0, 1))
    rows = number.sum()
    expected = truth * found / (rows * (rows - 1) / 2) if rows > 1 else 0.0
    most = (truth + found) / 2
    return (together - expected) / (most - expected) if most != expected else 1.0
