"""Rewards that every action would have brought, estimated for each row of a log."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.shard_commits import committed_shard, write_shards
from sparkml_dist.dataset.writer import ShardWriter
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.reinforcement.action_values import ActionValues, members_of
from sparkml_dist.reinforcement.transition_block import TransitionBlock
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset, renumbered

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from sparkml_dist.reinforcement.fitted_q_model import FittedQModel

__all__ = ["pseudo_rewards", "write_pseudo_rewards"]

Floats = npt.NDArray[np.float64]


def pseudo_rewards(block: TransitionBlock, predicted: Floats, clip: float | None) -> Floats:
    """Return an estimate of the reward of each action, shape (n, n_actions).

    ``predicted + 1(action was taken) (reward - predicted) / probability``: without bias if either
    the predictions or the probabilities are right. With predictions of 0 it is importance sampling.

    Parameters
    ----------
    block : TransitionBlock
    predicted : ndarray, shape (n, n_actions)
    clip : float or None
        Largest ``1 / probability``.

    References
    ----------
    Dudík, Langford, Li (2011), "Doubly robust policy evaluation and learning", ICML.
    """
    assert block.behavior_prob is not None
    weight = 1.0 / block.behavior_prob
    if clip is not None:
        weight = np.minimum(weight, clip)
    found = np.array(predicted, float)
    rows = np.arange(len(block))
    found[rows, block.action] += weight * (block.reward - predicted[rows, block.action])
    return found


@dataclass(frozen=True)
class _Predictions:
    """Rewards predicted for the rows of a shard by the regressors of other shards."""

    values: ActionValues
    shards: tuple[int, ...]

    @classmethod
    def of(cls, model: FittedQModel) -> _Predictions:
        records = model.content["members"]
        values = replace(model._values(), members=members_of(records))
        return cls(values, tuple(int(r["shard"]) for r in records))

    def __call__(self, shard: int, states: Floats) -> Floats:
        pairs = zip(self.values.members, self.shards, strict=True)
        others = tuple(m for m, of in pairs if of != shard) or self.values.members
        found = replace(self.values, members=others).load().q_values(states)
        return np.nan_to_num(found, nan=0.0)


def write_pseudo_rewards(
    spark: SparkSession,
    data: TransitionDataset,
    folder: Folder,
    *,
    model: FittedQModel | None,
    clip: float | None,
) -> TransitionDataset:
    """Write a row for each row of a log and each action, with the action's estimated reward.

    A shard of the log becomes a shard for each action. Rewards are predicted by the regressors of
    other shards, so that no row's own reward is in its prediction; with one shard it is.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    data : TransitionDataset
        With the probabilities of actions.
    folder : Folder
        For the shards.
    model : FittedQModel or None
        Predicts rewards; None for predictions of 0.
    clip : float or None
        As for `pseudo_rewards`.
    """
    n_actions, schema = data.schema.n_actions, data.schema
    weight = data.data.manifest.weight
    group = max((n for s in data.shards for n in s.row_groups), default=1)
    label = Label(schema.reward, "target")
    writer = ShardWriter(folder, schema.shard_schema, label, weight is not None, group)
    predict = None if model is None else _Predictions.of(model)

    def write(index: int) -> dict[str, Any]:
        shard, code = divmod(index, n_actions)

        def rewritten() -> Any:
            for block in data.blocks(shard):
                zeros = np.zeros((len(block), n_actions))
                known = zeros if predict is None else predict(shard, block.state)
                rewards = pseudo_rewards(block, known, clip)[:, code]
                action = np.full(len(block), code, np.int32)
                over = np.ones(len(block), bool)
                made = replace(block, action=action, reward=rewards, terminated=over)
                yield made.to_block(schema)

        return writer.write_blocks(index, rewritten())

    found, missing, _ = write_shards(
        spark,
        len(data.shards) * n_actions,
        lambda index: committed_shard(folder, index, lambda: write(index)),
        description=f"estimate the rewards of {n_actions} actions",
    )
    manifest = replace(data.data.manifest, shards=renumbered(found), missing_features=missing)
    return TransitionDataset(PartitionedDataset(folder, manifest), schema, data.summary)
