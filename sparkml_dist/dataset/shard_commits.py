"""Shards that tasks write one by one, each with a note that makes it known to a repeated run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.dataset.feature_positions import all_positions
from sparkml_dist.dataset.manifest import ShardInfo
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["committed_shard", "write_shards"]


def committed_shard(
    folder: Folder, shard: int, write: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return the note of a shard, which is written unless an earlier run has committed it.

    Parameters
    ----------
    folder : Folder
        Of the shards and their notes.
    shard : int
    write : callable
        Writes the shard; returns its note, with ``shard`` (fields of `ShardInfo`).
    """
    name = f"shard-{shard:05d}.json"
    if folder.exists(name):
        done: dict[str, Any] = folder.read_json(name)
        if folder.size(done["shard"]["file"]) == done["shard"]["bytes"]:
            return done
    note = write()
    folder.write_json(name, note)
    return note


def write_shards(
    spark: SparkSession, count: int, work: Callable[[int], dict[str, Any]], *, description: str
) -> tuple[tuple[ShardInfo, ...], tuple[int, ...], list[dict[str, Any]]]:
    """Write shards, one task for each; raise the first error.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    count : int
        Number of shards.
    work : callable
        ``work(shard)`` returns the shard's note, with ``shard`` and ``missing_features``.
    description : str
        Of the job.

    Returns
    -------
    shards : tuple of ShardInfo
    missing_features : tuple of int
        Features with missing values in any shard.
    notes : list of dict
    """
    outcomes = run_tasks(spark, range(count), work, description=description)
    for outcome in outcomes:
        if outcome.error:
            raise outcome.error
    notes = [o.result for o in outcomes]
    return (
        tuple(ShardInfo.from_dict(note["shard"]) for note in notes),
        all_positions(note["missing_features"] for note in notes),
        notes,
    )
