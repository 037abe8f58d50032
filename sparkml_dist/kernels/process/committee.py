"""Chooses the rows of the experts of a committee, each from a shard of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.kernels.row_source import lowest_of_shard
from sparkml_dist.kernels.scaling import Scaling
from sparkml_dist.persistence.arrays import write_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["write_experts"]


@dataclass(frozen=True)
class _ExpertTask:
    """Writes the rows of an expert: those of its shard with the lowest draws."""

    data: PartitionedDataset
    folder: Folder
    scaling: Scaling
    mean: float
    rows: int
    seed: int
    above: float
    below: float

    def __call__(self, shard: int) -> dict[str, Any]:
        lowest = lowest_of_shard(self.data, shard, self.rows, self.seed, self.below, self.above)
        _, X, y, _ = lowest.kept()
        rows = self.scaling.apply(X.reshape(len(y), self.data.n_features))
        write_array(self.folder, f"rows_{shard}.npy", rows)
        write_array(self.folder, f"targets_{shard}.npy", np.asarray(y - self.mean))
        return {"rows": len(y)}


def write_experts(
    spark: SparkSession,
    data: PartitionedDataset,
    folder: Folder,
    scaling: Scaling,
    mean: float,
    rows: int,
    seed: int,
    above: float,
    below: float,
) -> tuple[list[ModelFile], list[int]]:
    """Write the rows and targets of an expert for each shard, in tasks.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    data : PartitionedDataset
    folder : Folder
    scaling : Scaling
        Of the features, with length scales.
    mean : float
        Of the targets.
    rows : int
        Most rows of an expert.
    seed : int
    above : float
        Draws of the rows that all experts share are not greater; these rows are left out.
    below : float
        Draws of held-out rows are not less; these are left out too.

    Returns
    -------
    (list of ModelFile, list of int)
        The files, and the rows of each expert.
    """
    work = _ExpertTask(data, folder, scaling, mean, rows, seed, above, below)
    outcomes = run_tasks(spark, range(len(data.shards)), work, description="rows of experts")
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    names = [f"{kind}_{i}.npy" for i in range(len(data.shards)) for kind in ("rows", "targets")]
    return [ModelFile.of(folder, n) for n in names], [o.result["rows"] for o in outcomes]
