"""The rows that networks learn from: transitions of one or several steps, in shards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.manifest import Manifest
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.dataset.shard_commits import committed_shard, write_shards
from sparkml_dist.dataset.writer import ShardWriter
from sparkml_dist.deep.input.inputs import InputPart, InputSpec
from sparkml_dist.errors import DataError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.reinforcement.n_steps import step_returns
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset, renumbered
from sparkml_dist.reinforcement.transition_schema import TransitionSchema

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["LearningRows", "prepare_rows"]


@dataclass(frozen=True)
class LearningRows:
    """Shards of rows with all that a network needs, and the range of actions that are numbers.

    Attributes
    ----------
    data : PartitionedDataset
    inputs : InputSpec
        ``state``, ``next_state``, ``action``, ``reward``, ``discount`` and, where not all actions
        are always possible, ``next_available``.
    low, high : tuple of float
        Least and largest value of each number of an action; empty for a list of actions.
    """

    data: PartitionedDataset
    inputs: InputSpec
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class _Columns:
    """The columns of the rows, by name."""

    schema: TransitionSchema

    @cached_property
    def parts(self) -> dict[str, int]:
        """Names of the networks' inputs, and the number of columns of each."""
        width = self.schema.n_state
        actions = 1 if self.schema.action else len(self.schema.action_columns)
        found = {"state": width, "next_state": width, "action": actions, "reward": 1, "discount": 1}
        if "availableActions" in self.schema.columns:
            found["next_available"] = self.schema.n_actions
        return found

    @property
    def features(self) -> FeatureSchema:
        names = [f"{part}:{i}" for part, width in self.parts.items() for i in range(width)]
        columns = [FeatureColumn(name, "numeric") for name in names]
        return FeatureSchema.build(columns, sparse=False)

    @property
    def inputs(self) -> InputSpec:
        parts, at = [], 0
        for name, width in self.parts.items():
            whole = name == "action" and self.schema.action is not None
            places = tuple(range(at, at + width))
            parts.append(InputPart(name, places, (width,), "int32" if whole else "float32"))
            at += width
        return InputSpec(tuple(parts))


def prepare_rows(
    spark: SparkSession,
    data: TransitionDataset,
    folder: Folder,
    *,
    steps: int,
    discount: float,
    seed: int,
) -> LearningRows:
    """Write the rows that networks learn from, one task for each shard.

    Actions of which no value can be learnt are left out. Rows are put in random order, so that the
    batches of a training mix episodes. Shards that an earlier run has committed are kept.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    data : TransitionDataset
    folder : Folder
        For the shards.
    steps : int
        Steps of a return; see `step_returns`.
    discount : float
        Of rows without their own.
    seed : int
        Seed of the order of the rows.

    Raises
    ------
    DataError
        ``no_training_rows``.
    """
    columns = _Columns(data.schema)
    label = Label(data.schema.reward, "target")
    weighted = data.data.manifest.weight is not None
    writer = ShardWriter(folder, columns.features, label, weighted, 1)
    continuous = data.schema.action is None

    def write(shard: int) -> dict[str, Any]:
        rows = _rows(data, shard, columns, steps=steps, discount=discount, seed=seed)
        size = max([1, *data.shards[shard].row_groups])
        parts = [slice(at, at + size) for at in range(0, len(rows), size)]
        note = writer.write_blocks(shard, (_part(rows, part) for part in parts))
        if continuous and len(rows):
            at = sum(list(columns.parts.values())[:2])
            actions: Any = rows.X[:, at : at + columns.parts["action"]]
            note["low"] = actions.min(axis=0).tolist()
            note["high"] = actions.max(axis=0).tolist()
        return note

    found, missing, notes = write_shards(
        spark,
        len(data.shards),
        lambda shard: committed_shard(folder, shard, lambda: write(shard)),
        description=f"rows of {len(data.shards)} shards to learn from",
    )
    shards = renumbered(found)
    if not shards:
        raise DataError(
            "no_training_rows",
            "No transition is left to learn from: none has a next state or ends its episode.",
            "Mark ends in terminatedCol, or give nextStateCols.",
        )
    weight = data.data.manifest.weight
    manifest = Manifest(columns.features, label, weight, ("episode",), seed, shards, missing)
    low = [note["low"] for note in notes if "low" in note]
    high = [note["high"] for note in notes if "high" in note]
    return LearningRows(
        PartitionedDataset(folder, manifest),
        columns.inputs,
        tuple(np.min(low, axis=0).tolist()) if low else (),
        tuple(np.max(high, axis=0).tolist()) if high else (),
    )


def _rows(
    data: TransitionDataset,
    shard: int,
    columns: _Columns,
    *,
    steps: int,
    discount: float,
    seed: int,
) -> Block:
    """Return the rows of a shard, in random order."""
    block = data.read(shard)
    found = step_returns(block, steps, discount)
    order = np.random.default_rng((seed, shard)).permutation(len(found.rows))
    rows, last = found.rows[order], found.last[order]
    values: dict[str, Any] = {
        "state": block.state[rows],
        "next_state": block.next_state[last],
        "action": block.action[rows],
        "reward": found.reward[order],
        "discount": found.discount[order],
        "next_available": None if block.next_available is None else block.next_available[last],
    }
    X = np.hstack([np.reshape(values[n], (len(rows), width)) for n, width in columns.parts.items()])
    weight = None if block.weight is None else block.weight[rows].astype(np.float32)
    return Block(X.astype(np.float32), block.reward[rows], weight, block.episode[rows])


def _part(rows: Block, part: slice) -> Block:
    weight = None if rows.weight is None else rows.weight[part]
    X: Any = rows.X
    return Block(X[part], rows.y[part], weight, rows.key[part])
