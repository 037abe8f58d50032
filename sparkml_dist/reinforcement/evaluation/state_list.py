"""The different states of a log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sparkml_dist.cluster.progress import job_description
from sparkml_dist.reinforcement.evaluation.state_basis import ListedStates
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["listed_states"]


def listed_states(spark: SparkSession, data: TransitionDataset, most: int) -> ListedStates | None:
    """Return the list of the states of a log, next states among them; None for more than `most`.

    A task stops to read as soon as it has found more.
    """

    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for shard in batch.column(0).to_pylist():
                found = np.empty((0, data.schema.n_state))
                for block in data.blocks(shard):
                    goes = block.has_next & ~block.terminated
                    rows = [found, block.state, block.next_state[goes]]
                    found = np.unique(np.concatenate(rows), axis=0)[: most + 1]
                    if len(found) > most:
                        break
                flat = pa.array([row.tolist() for row in found], pa.list_(pa.float64()))
                yield pa.RecordBatch.from_arrays([flat], names=["state"])

    shards = len(data.shards)
    tasks = spark.range(0, shards, 1, shards)
    with job_description(spark, "sparkml_dist: list the states of a log"):
        states = tasks.mapInArrow(look, "state array<double>").distinct().limit(most + 1)
        rows = [row["state"] for row in states.collect()]
    if len(rows) > most:
        return None
    return ListedStates.of(np.array(rows, float).reshape(len(rows), data.schema.n_state))
