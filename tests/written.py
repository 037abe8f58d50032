"""Writes arrays as a partitioned data set, without Spark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.feature_positions import all_positions
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.manifest import Manifest, ShardInfo
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.dataset.writer import ShardWriter
from sparkml_dist.persistence.filesystem import Folder


def written(
    folder: Path,
    X: Any,
    y: Any,
    *,
    shards: int = 3,
    groups: int = 2,
    names: Sequence[str] | None = None,
    categories: dict[str, tuple[str, ...]] | None = None,
    classes: Sequence[Any] | None = None,
    weight: Any = None,
    key: Any = None,
    precision: str = "float64",
) -> PartitionedDataset:
    """Return a data set of rows dealt out to shards; targets unless there are `classes`."""
    rows, width = X.shape
    names = list(names or [f"x{i}" for i in range(width)])
    sparse = not isinstance(X, np.ndarray)
    found = categories or {}
    columns = [
        FeatureColumn(n, "categorical" if n in found else "numeric", 1, found.get(n, ()))
        for n in names
    ]
    if sparse:
        columns = [FeatureColumn("features", "vector", width)]
    schema = FeatureSchema(tuple(columns), "sparse" if sparse else "columns", precision)
    label = Label("y", "target") if classes is None else Label("y", "integer", tuple(classes))
    home = Folder.at(folder)
    writer = ShardWriter(home, schema, label, weight is not None, rows)
    infos, missing = [], set()
    keys = np.arange(rows, dtype=np.int64) if key is None else np.asarray(key, np.int64)
    for index in range(shards):
        mine = np.arange(index, rows, shards)
        blocks = [
            Block(
                X[part].astype(schema.dtype),
                np.asarray(y)[part].astype(np.float64 if classes is None else np.int32),
                None if weight is None else np.asarray(weight)[part].astype(schema.dtype),
                keys[part],
            )
            for part in np.array_split(mine, min(groups, max(1, len(mine))))
        ]
        outcome = writer.write_blocks(index, blocks)
        infos.append(ShardInfo.from_dict(outcome["shard"]))
        missing |= {*all_positions([outcome["missing_features"]])}
    weighted = None if weight is None else "w"
    manifest = Manifest(
        schema, label, weighted, (), 0, tuple(infos), tuple(sorted(missing)), True, "0"
    )
    manifest.write(home)
    return PartitionedDataset(home, manifest)
