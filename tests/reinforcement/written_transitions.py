"""Transitions that a test writes to shards itself, without Spark."""

from __future__ import annotations

import numpy as np

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.manifest import Manifest, ShardInfo
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.dataset.writer import ShardWriter
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.reinforcement.transition_block import TransitionBlock
from sparkml_dist.reinforcement.transition_dataset import TransitionDataset
from sparkml_dist.reinforcement.transition_schema import TransitionSchema


def block(state, action, reward, *, next_state=None, terminated=(), truncated=(), **more):
    """Return transitions; by default one episode, in which a row's next state is the next row's."""
    state = np.asarray(state, float).reshape(len(reward), -1)
    n = len(reward)
    ends, cut = np.zeros(n, bool), np.zeros(n, bool)
    ends[list(terminated)], cut[list(truncated)] = True, True
    episode = np.asarray(more.pop("episode", np.zeros(n)), np.int64)
    if next_state is None:
        next_state = np.full(state.shape, np.nan)
        same = episode[1:] == episode[:-1]
        next_state[:-1][same] = state[1:][same]
    next_state = np.asarray(next_state, float).reshape(n, -1).copy()
    next_state[ends] = np.nan
    first = np.append(True, episode[1:] != episode[:-1])
    starts = np.maximum.accumulate(np.where(first, np.arange(n), 0))
    return TransitionBlock(
        state=state,
        action=np.asarray(action, np.int32 if np.ndim(action) == 1 else float),
        reward=np.asarray(reward, float),
        next_state=next_state,
        next_action=np.full(n, -1, np.int32),
        terminated=ends,
        truncated=cut,
        has_next=~ends & ~np.isnan(next_state[:, 0]),
        first=first,
        step=np.arange(n) - starts,
        episode=episode,
        **more,
    )


def written(path, blocks, actions, *, continuous=0, weight=False, available=False):
    """Write blocks as the shards of transitions; return them."""
    folder = Folder.at(path)
    width = blocks[0].state.shape[1]
    columns = [FeatureColumn(f"s{i}", "numeric") for i in range(width)]
    schema = TransitionSchema(
        FeatureSchema.build(columns, sparse=False, precision="float64"),
        None if continuous else Label("action", "integer", tuple(actions)),
        tuple(f"a{i}" for i in range(continuous)),
        "reward",
        {"episode": "episode", "step": "step"}
        | ({"weight": "weight"} if weight else {})
        | ({"availableActions": "available"} if available else {}),
    )
    label = Label("reward", "target")
    writer = ShardWriter(folder, schema.shard_schema, label, weight, 1)
    notes = [writer.write_blocks(i, [b.to_block(schema)]) for i, b in enumerate(blocks)]
    shards = tuple(ShardInfo.from_dict(n["shard"]) for n in notes)
    manifest = Manifest(
        schema.shard_schema, label, "weight" if weight else None, ("episode",), 0, shards
    )
    manifest.write(folder)
    return TransitionDataset(PartitionedDataset(folder, manifest), schema, {"episodes": 1})


def frozen_lake():
    """Return every (state, action, next state) of FrozenLake 4×4, with probabilities as weights."""
    import gymnasium

    lake = gymnasium.make("FrozenLake-v1", map_name="4x4", is_slippery=True).unwrapped.P
    rows = [
        (s, a, r, after, over, p)
        for s, by_action in lake.items()
        for a, found in by_action.items()
        for p, after, r, over in found
    ]
    s, a, r, after, over, p = (np.array(column) for column in zip(*rows, strict=True))
    return block(
        s,
        a.astype(np.int32),
        r,
        next_state=after,
        terminated=np.flatnonzero(over),
        episode=np.arange(len(s)),
        weight=p.astype(float),
    )
