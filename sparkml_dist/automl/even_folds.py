"""Folds of few rows, none of which is empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.splits import folds
from sparkml_dist.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["FEW_ROWS", "even_folds"]

#: With fewer rows a fold may be empty, or without a class, by chance.
FEW_ROWS = 200
_SEEDS = 64


def even_folds(
    spark: SparkSession, data: PartitionedDataset, n_folds: int, seed: int
) -> tuple[int, int]:
    """Return the number of folds, and the seed for which their rows and classes are most even.

    Rows go to folds by hashes of their keys, so that a fold of few rows may be empty. Takes a task,
    which reads keys and labels.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    data : PartitionedDataset
        Of few rows.
    n_folds : int
        Folds that are wanted; fewer where there are not so many distinct keys.
    seed : int
        The first of the seeds that are tried.

    Raises
    ------
    DataError
        ``too_few_rows`` if all rows have the same key.
    """
    (outcome,) = run_tasks(
        spark, [0], _EvenFolds(data, n_folds, seed), description="folds of few rows"
    )
    if outcome.error is not None:
        raise outcome.error
    return outcome.result["folds"], outcome.result["seed"]


@dataclass(frozen=True)
class _EvenFolds:
    data: PartitionedDataset
    n_folds: int
    seed: int

    def __call__(self, _: int) -> dict[str, Any]:
        block = self.data.read_block(range(len(self.data.shards)), features=[])
        n_folds = min(self.n_folds, len(np.unique(block.key)))
        if n_folds < 2:
            raise DataError(
                "too_few_rows",
                "All rows have one key: none can be held out from the others.",
                "Give more rows, or another keyCol.",
            )
        classes = len(self.data.manifest.label.classes)
        labels = block.y.astype(int) if classes else np.zeros(len(block), int)

        def unevenness(seed: int) -> tuple[int, float]:
            counts = np.zeros((n_folds, max(1, classes)))
            np.add.at(counts, (folds(block.key, n_folds, seed=seed), labels), 1)
            empty = int((counts.sum(1) == 0).sum())
            return empty, float(((counts - counts.mean(0)) ** 2).sum())

        seeds = range(self.seed, self.seed + _SEEDS)
        best = min(seeds, key=unevenness)
        while unevenness(best)[0] and n_folds > 2:
            n_folds -= 1
            best = min(seeds, key=unevenness)
        return {"folds": n_folds, "seed": best}
