"""A policy as a table, and its mean value over first states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sparkml_dist.cluster.sums.over_shards import sum_over_shards
from sparkml_dist.dataset.many_columns import quoted
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.parquet import write_parquet
from sparkml_dist.reinforcement.tabular.q_table_model import QTableModel
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset
from sparkml_dist.session import get_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["start_value", "write_policy"]


def write_policy(model: Any, df: DataFrame, folder: Folder) -> None:
    """Write a policy as a Parquet table into a folder that it replaces.

    A table of values is written as it is, a row for each state and action; any other policy as
    what it does in the distinct states of a log.

    Parameters
    ----------
    model : PolicyModel
    df : pyspark.sql.DataFrame
        The log.
    folder : Folder
    """
    folder.delete()
    if isinstance(model, QTableModel):
        sink = pa.BufferOutputStream()
        pq.write_table(model.table(), sink)
        folder.write_bytes("part-00000.parquet", sink.getvalue().to_pybytes())
        return
    names = [column.name for column in model.schema.columns]
    states = df.select(*quoted(names)).distinct()
    write_parquet(model.transform(states), folder)


def start_value(model: Any, data: TransitionDataset | None) -> float | None:
    """Return the mean value of a policy, by its own values, over the first states of episodes.

    None for a policy that has no values.

    Parameters
    ----------
    model : PolicyModel
    data : TransitionDataset or None
    """
    if data is None or not model.actions:
        return None
    policy = model.to_local()

    def total(shard: int) -> dict[str, Any]:
        value, rows = 0.0, 0
        for block in data.blocks(shard):
            states = block.state[block.first]
            if len(states):
                q, chances = policy.q_values(states), policy.probabilities(states)
                value += float(np.where(chances > 0, chances * q, 0.0).sum())
                rows += len(states)
        return {"value": value, "rows": rows}

    sums = sum_over_shards(get_session(), len(data.shards), total, description="value first states")
    found = float(sums["value"]) / max(1, int(sums["rows"]))
    return found if np.isfinite(found) else None
