"""Fits cells of states to a random sample of the rows of shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.dataset.hashing import uniform, xxhash64
from sparkml_dist.persistence.arrays import read_array, write_array
from sparkml_dist.persistence.workspace import temporary_folder
from sparkml_dist.reinforcement.tabular.cells import Cells, CellsKind, fit_cells
from sparkml_dist.reinforcement.transition_block import TransitionBlock
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["returns_to_go", "sampled_cells"]

_SAMPLE = 50_000


def sampled_cells(
    spark: SparkSession,
    data: TransitionDataset,
    kind: CellsKind,
    number: int,
    discount: float,
    seed: int,
) -> Cells:
    """Return cells that fit a sample of about 50,000 rows; the driver sees only the cells.

    The draw of a row is a function of its episode, its step and the seed, and the sample is sorted:
    the cells do not depend on the number of shards.
    """
    share = min(1.0, _SAMPLE / max(1, data.n_rows))
    home = temporary_folder(spark, "cells", "shardsDir")

    def draw(shard: int) -> dict[str, Any]:
        parts = [np.empty((0, data.schema.n_state + 1))]
        for block in data.blocks(shard, whole=kind == "tree"):
            returns = returns_to_go(block, discount) if kind == "tree" else block.reward
            key = xxhash64(block.episode, block.step).view(np.int64)
            chosen = uniform(key, seed, "cells") < share
            parts.append(np.column_stack([block.state, returns])[chosen])
        write_array(home, f"sample-{shard}.npy", np.concatenate(parts))
        return {}

    def fit(_: int) -> dict[str, Any]:
        shards = range(len(data.shards))
        rows = np.concatenate([read_array(home, f"sample-{s}.npy") for s in shards])
        rows = rows[np.lexsort(rows.T[::-1])]
        rows = rows[~np.isnan(rows).any(axis=1)]
        cells = fit_cells(kind, number, rows[:, :-1], rows[:, -1], seed)
        for name, array in cells.arrays.items():
            write_array(home, f"{name}.npy", array)
        return {"names": list(cells.arrays)}

    try:
        _run(spark, range(len(data.shards)), draw, "sample states")
        names = _run(spark, [0], fit, "fit cells")[0]["names"]
        return Cells(kind, {name: read_array(home, f"{name}.npy") for name in names})
    finally:
        home.delete()


def _run(spark: SparkSession, indices: Any, work: Any, description: str) -> list[dict[str, Any]]:
    outcomes = run_tasks(spark, list(indices), work, description=description)
    for outcome in outcomes:
        if outcome.error:
            raise outcome.error
    return [o.result for o in outcomes]


def returns_to_go(block: TransitionBlock, discount: float) -> npt.NDArray[np.float64]:
    """Return the discounted rewards from each row to the end of its episode.

    Parameters
    ----------
    block : TransitionBlock
        Of whole episodes.
    discount : float
        Where the log has none of its own.
    """
    discounts = block.discounts(discount)
    found = block.reward.copy()
    ends = np.append(block.first[1:], True)
    # From the last step of all episodes to the first, all episodes at once.
    for step in range(int(block.step.max(initial=0)), -1, -1):
        rows = np.flatnonzero((block.step == step) & ~ends)
        found[rows] += discounts[rows] * found[rows + 1]
    return found
