"""Adopts Parquet files whose rows are in random order as shards, without copying them."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.dataset.columns import Task
from sparkml_dist.dataset.feature_positions import all_positions, packed_positions
from sparkml_dist.dataset.manifest import Manifest, ShardInfo
from sparkml_dist.dataset.parquet import read_parquet
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.reader import read_block
from sparkml_dist.dataset.schema import Precision
from sparkml_dist.dataset.shard_counts import ShardCounts
from sparkml_dist.dataset.survey import survey
from sparkml_dist.dataset.writer import footer_sha256
from sparkml_dist.errors import DataError, StorageError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.saved_folder import check_replaceable
from sparkml_dist.version import __version__

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["adopt"]

_logger = logging.getLogger(__name__)


def adopt(
    spark: SparkSession,
    source: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    label: str,
    features: str | Sequence[str] | None = None,
    weight: str | None = None,
    key: str | Sequence[str] | None = None,
    categorical: Sequence[str] = (),
    task: Task = "classification",
    precision: Precision = "float32",
    overwrite: bool = False,
) -> PartitionedDataset:
    """Make a partitioned data set from Parquet files that stay where they are.

    Each file becomes a shard. The caller guarantees that the rows are in random order, so that each
    file is a fair sample; no row is moved. The files are read once, to check them.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    source : str or path-like
        Folder of Parquet files: a local path or URI that the driver and all workers can read.
    path : str or path-like
        Folder for the manifest.
    label, features, weight, key, categorical, task, precision, overwrite
        As for `partition`.

    Returns
    -------
    PartitionedDataset

    Raises
    ------
    DataError, ConfigurationError, StorageError
        As for `partition`; ``no_parquet`` when the folder has no Parquet file with rows.
    """
    home, folder = Folder.at(source), Folder.at(path)
    check_replaceable(folder, "dataset", overwrite=overwrite)
    files = [
        f
        for f in home.walk()
        if f.endswith((".parquet", ".pq")) and not f.rpartition("/")[2].startswith((".", "_"))
    ]
    if not files:
        raise StorageError(
            "no_parquet",
            f"There is no Parquet file in {home.location!r}.",
            "adopt takes a folder of .parquet files; use partition for other data.",
        )
    known = survey(
        read_parquet(spark, home.spark_path()),
        label=label,
        features=features,
        weight=weight,
        key=key,
        categorical=categorical,
        task=task,
        precision=precision,
    )
    weight_column, keys = known.plan.weight, known.plan.key
    manifest = Manifest(
        known.schema, known.label, weight_column, keys, 0, (), (), False, __version__
    )

    def inspect(index: int) -> dict[str, Any]:
        return _inspect(home, files[index], manifest)

    outcomes = run_tasks(spark, range(len(files)), inspect, description=f"adopt {len(files)} files")
    for outcome in outcomes:
        if outcome.error:
            raise outcome.error
    found = [o.result for o in outcomes if o.result["shard"]["rows"]]
    if not found:
        raise DataError("empty_data", f"The files in {home.location!r} have no rows.")
    shards = tuple(
        ShardInfo.from_dict(result["shard"] | {"index": index})
        for index, result in enumerate(found)
    )
    missing = all_positions(o["missing_features"] for o in found)
    manifest = replace(manifest, shards=shards, missing_features=missing)
    manifest.write(folder)
    _logger.info("adopted %d files of %s", len(shards), home.location)
    return PartitionedDataset(folder, manifest)


def _inspect(home: Folder, name: str, manifest: Manifest) -> dict[str, Any]:
    """Check one file, one row group at a time; return the content of its shard's entry."""
    head, _, tail = name.rpartition("/")
    place = home.child(head) if head else home
    with place.opened(tail) as stream:
        metadata = pq.ParquetFile(stream).metadata
    row_groups = [metadata.row_group(g) for g in range(metadata.num_row_groups)]
    groups = tuple(g.num_rows for g in row_groups)
    values = sum(g.column(c).num_values for g in row_groups for c in range(g.num_columns))
    info = ShardInfo(
        index=0,
        file=home.uri(name),
        rows=sum(groups),
        bytes=place.size(tail),
        block_bytes=8 * values,  # an upper bound, for reading; counted exactly below
        sha256=place.sha256(tail),
        footer_sha256=footer_sha256(place, tail),
        row_groups=groups,
    )
    probe = Manifest(
        manifest.schema, manifest.label, manifest.weight, manifest.key, 0, (info,), (), False
    )
    where = f"one row group of {home.uri(name)!r}"
    counts = ShardCounts(manifest.schema, len(manifest.label.classes), where)
    for group, rows in enumerate(groups):
        if rows:
            block = read_block(home, probe, [0], row_groups=[group], verify=False)
            counts.add(block.y, block.X)
    return {
        "shard": counts.fill(info).to_dict(),
        "missing_features": packed_positions(counts.missing_features),
    }
