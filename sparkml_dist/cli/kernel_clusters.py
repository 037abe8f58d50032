"""Kernel clusters: of a table without a label, and scores against true ones on held-out rows."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparkml_dist.cli.clusters import adjusted_rand
from sparkml_dist.cli.kernels import kernel_estimator
from sparkml_dist.cli.options import plan_of
from sparkml_dist.cli.points import read_points
from sparkml_dist.cli.runner import Job
from sparkml_dist.errors import UsageError
from sparkml_dist.tables.lines import format_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["ClusterMetrics", "cluster_table", "evaluate_clusters"]

# Options of training jobs that say how rows with a label are cut.
_OF_LABELLED = ("test", "test_fraction", "weight", "shards", "memory_per_task", "shards_from")
_LABEL = "label"


@dataclass(frozen=True)
class ClusterMetrics:
    """Scores of clusters.

    Attributes
    ----------
    rows : int
    adjusted_rand : float
        Agreement with the true clusters: 1 is equal, 0 is by chance.
    """

    rows: int
    adjusted_rand: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the scores by name."""
        return {"adjusted_rand": self.adjusted_rand}


def evaluate_clusters(model: Any, test: DataFrame, label: str) -> ClusterMetrics:
    """Compare the clusters of rows with those that a column names.

    Parameters
    ----------
    model : Model
        With an output ``prediction``.
    test : pyspark.sql.DataFrame
    label : str
    """
    labelled = model.transform(test)
    return ClusterMetrics(test.count(), adjusted_rand(labelled, label))


def cluster_table(args: argparse.Namespace, job: Job) -> None:
    """Find clusters among all rows of a table, for which no label is named; save the model.

    Where the table has a column ``label`` all the same, the clusters are compared with it.

    Raises
    ------
    UsageError
        ``usage`` for options that need ``--label``.
    """
    for option in _OF_LABELLED:
        if getattr(args, option) is not None:
            shown = option.replace("_", "-")
            raise UsageError(
                "usage",
                f"--{shown} goes with --label only, when --method is {args.method}.",
                "Without a label, all rows of the table are clustered. Leave it out.",
            )
    estimator = kernel_estimator(args, seed=args.seed)
    estimator._check()
    output = job.output
    assert output is not None
    output.overwrite, output.resume = args.overwrite, args.resume
    format_of(args.train, args.format)
    if output.claim(plan_of(args)):
        output.model.delete()
    table = read_points(argparse.Namespace(**vars(args), input=args.train), job)
    with job.stage("fit"):
        model = estimator.setParams(featuresCols=table.features).fit(table.df)
        model.save(output.model.location)
    document = job.document
    with job.stage("evaluate"):
        sizes = model.clusterSizes
        document.rows = sum(sizes)
        document.more.update(
            clusters=model.numClusters,
            sizes=sizes,
            kernel={**model.kernel.to_dict(), **model.summary},
            output={"model": output.place("model")},
        )
        if _LABEL in table.df.columns:
            truth = adjusted_rand(model.transform(table.df), _LABEL)
            document.metrics["adjusted_rand"] = truth
    output.commit(document)
