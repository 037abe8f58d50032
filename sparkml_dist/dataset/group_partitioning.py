"""Partitions a DataFrame into one data set for each value of a column, in one job."""

from __future__ import annotations

import bisect
import itertools
import json
import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sparkml_dist.cluster.progress import job_description
from sparkml_dist.dataset.column_names import refuse_ambiguous
from sparkml_dist.dataset.columns import Task
from sparkml_dist.dataset.feature_positions import all_positions
from sparkml_dist.dataset.manifest import Manifest, ShardInfo
from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.partitioning import (
    DRAW,
    drawn_rows,
    keyed_rows,
    placed_in,
    shard_failures,
)
from sparkml_dist.dataset.schema import Precision
from sparkml_dist.dataset.sizing import plan_sizing
from sparkml_dist.dataset.survey import Survey, survey
from sparkml_dist.dataset.writer import ShardWriter
from sparkml_dist.errors import DataError, SparkMLDistError, nearest
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.session import max_slots
from sparkml_dist.version import __version__

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["MOST_GROUPS", "group_counts", "partition_groups"]

_logger = logging.getLogger(__name__)

#: Groups beyond this number are most likely a column of identifiers.
MOST_GROUPS = 100_000
_TASKS = 8  # where a session does not tell its slots
_GROUP, _FIRST, _SHARDS, _CELL = "_group", "_group_first", "_group_shards", "_group_cell"


def partition_groups(
    df: DataFrame,
    by: str,
    folder: Folder,
    *,
    label: str,
    features: str | Sequence[str] | None = None,
    weight: str | None = None,
    key: str | Sequence[str] | None = None,
    categorical: Sequence[str] = (),
    task: Task = "classification",
    memory_per_task: int | str | None = None,
    precision: Precision = "float64",
    seed: int = 0,
) -> dict[str, PartitionedDataset]:
    """Partition the rows of each value of a column into a data set of its own.

    One job writes all of them, however many there are: its tasks take shards of several groups.
    Columns, categories and classes are those of all rows.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    by : str
        The column; its values, as texts, are the names of the groups.
    folder : Folder
        Gets a folder ``000000/data``, ``000001/data``, … for each group, in the order of names.
    label, features, weight, key, categorical, task, memory_per_task, precision, seed
        As for `partition`; `by` is no feature unless it is named.

    Returns
    -------
    dict of str to PartitionedDataset
        By name, sorted.

    Raises
    ------
    DataError, ConfigurationError, ResourceError, StorageError
        As for `partition`; ``group_null`` and ``too_many_groups`` for `by`. Nothing is left behind.
    """
    spark = df.sparkSession
    _check_column(df, by)
    keys = [key] if isinstance(key, str) else list(key or ())
    reserved = {by, label, *keys, *([weight] if weight else [])}
    known = survey(
        df,
        label=label,
        features=[c for c in df.columns if c not in reserved] if features is None else features,
        weight=weight,
        key=key,
        categorical=categorical,
        task=task,
        precision=precision,
    )
    counts = group_counts(df, by)
    sizing = plan_sizing(known.rows, known.row_bytes, shards=None, memory_per_task=memory_per_task)
    rows_of_shard = math.ceil(known.rows / sizing.shards)
    names = sorted(counts)
    shards = [math.ceil(counts[name] / rows_of_shard) for name in names]
    first = np.concatenate(([0], np.cumsum(shards))).astype(int).tolist()
    table = spark.createDataFrame(
        [(name, first[i], shards[i]) for i, name in enumerate(names)],
        f"{_GROUP} string, {_FIRST} long, {_SHARDS} long",
    )
    writers = _Writers(folder, known, sizing.row_group_rows, first)
    try:
        with job_description(spark, f"sparkml_dist: write {len(names):,} groups"):
            outcomes = _write(df, by, table, known, seed, writers, 2 * (max_slots(spark) or _TASKS))
        shard_failures(outcomes)
        written = sum(o["shard"]["rows"] for o in outcomes)
        if written != sum(counts.values()):
            raise DataError(
                "rows_changed",
                f"{written:,} rows were written, but {sum(counts.values()):,} were counted before.",
                "The data changes while it is read; cache it or write it to files first.",
            )
        return _manifests(names, folder, known, seed, outcomes)
    except BaseException:
        folder.delete()
        raise


def group_counts(df: DataFrame, by: str) -> dict[str, int]:
    """Return the rows of each value of a column.

    Raises
    ------
    DataError
        ``group_null``, ``too_many_groups``, ``empty_data``.
    """
    from pyspark.sql import functions as F

    grouped = df.groupBy(named_column(by).cast("string").alias(_GROUP)).agg(
        F.count(F.lit(1)).alias("_rows")
    )
    found = grouped.limit(MOST_GROUPS + 1).collect()
    if not found:
        raise DataError("empty_data", "The data has no rows.", "Check the path and filters.")
    if len(found) > MOST_GROUPS:
        raise DataError(
            "too_many_groups",
            f"The column {by!r} has more than {MOST_GROUPS:,} values.",
            "Is it a column of identifiers? Name the one that tells owners or groups apart.",
        )
    if any(row[_GROUP] is None for row in found):
        raise DataError(
            "group_null",
            f"The column {by!r} is null in some rows.",
            "Drop those rows, or name the group that they belong to.",
        )
    return {row[_GROUP]: int(row["_rows"]) for row in found}


def _check_column(df: DataFrame, by: str) -> None:
    """Raise unless the column exists and is not ambiguous."""
    if by not in df.columns:
        raise DataError(
            "column_not_found",
            f"There is no column {by!r} for groups.{nearest(by, df.columns)}",
            f"Columns are: {', '.join(df.columns[:12])}.",
        )
    refuse_ambiguous(df, [by])


class _Writers:
    """Writers of cells: the shards of all groups, numbered from 0."""

    def __init__(
        self, folder: Folder, known: Survey, row_group_rows: int, first: list[int]
    ) -> None:
        self._folder = folder
        self._schema, self._label = known.schema, known.label
        self._weighted = known.plan.weight is not None
        self._row_group_rows = row_group_rows
        self._first = first

    def write(self, cell: int, batches: Iterator[pa.RecordBatch]) -> dict[str, Any]:
        """Write one cell, and return what `ShardWriter.write` does, with the group's number."""
        group = bisect.bisect_right(self._first, cell) - 1
        writer = ShardWriter(
            _home(self._folder, group),
            self._schema,
            self._label,
            self._weighted,
            self._row_group_rows,
        )
        return {**writer.write(cell - self._first[group], batches), "group": group}


def _write(
    df: DataFrame,
    by: str,
    table: DataFrame,
    known: Survey,
    seed: int,
    writers: _Writers,
    tasks: int,
) -> list[dict[str, Any]]:
    from pyspark.sql import functions as F

    joined = df.join(F.broadcast(table), named_column(by).cast("string") == F.col(_GROUP))
    rows = drawn_rows(keyed_rows(joined, known, [F.col(_FIRST), F.col(_SHARDS)]), seed)
    cell = (F.col(_FIRST) + placed_in(F.col(_SHARDS))).alias(_CELL)
    others = [c for c in rows.columns if c not in (DRAW, _FIRST, _SHARDS)]
    placed = rows.select(cell, DRAW, *others)
    placed = placed.repartitionById(tasks, F.pmod(_CELL, F.lit(tasks)).cast("int"))
    placed = placed.sortWithinPartitions(_CELL, DRAW)

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for cell, parts in itertools.groupby(_cells(batches), key=lambda part: part[0]):
            try:
                outcome = writers.write(cell, (batch for _, batch in parts))
            except SparkMLDistError as error:
                outcome = {"error": [type(error).__name__, error.code, error.message, error.hint]}
            yield pa.RecordBatch.from_pydict({"outcome": [json.dumps(outcome)]})

    return [
        json.loads(row["outcome"]) for row in placed.mapInArrow(write, "outcome string").collect()
    ]


def _cells(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Cut batches, sorted by cell, where the cell changes; the column of cells is left out."""
    for batch in batches:
        cells = batch.column(0).to_numpy()
        if not len(cells):
            continue
        rest = pa.RecordBatch.from_arrays(batch.columns[1:], names=batch.schema.names[1:])
        starts = np.concatenate(([0], np.flatnonzero(np.diff(cells)) + 1, [len(cells)])).tolist()
        for start, end in itertools.pairwise(starts):
            yield int(cells[start]), rest.slice(start, end - start)


def _home(folder: Folder, group: int) -> Folder:
    return folder.child(f"{group:06d}").child("data")


def _manifests(
    names: list[str], folder: Folder, known: Survey, seed: int, outcomes: list[dict[str, Any]]
) -> dict[str, PartitionedDataset]:
    by_group: dict[int, list[dict[str, Any]]] = {}
    for outcome in outcomes:
        by_group.setdefault(outcome["group"], []).append(outcome)
    found = {}
    for group, name in enumerate(names):
        own = sorted(by_group[group], key=lambda o: int(o["shard"]["index"]))
        infos = [ShardInfo.from_dict(o["shard"]) for o in own]
        manifest = Manifest(
            schema=known.schema,
            label=known.label,
            weight=known.plan.weight,
            key=known.plan.key,
            seed=seed,
            # A draw may leave a small shard without rows.
            shards=tuple(replace(info, index=i) for i, info in enumerate(infos)),
            missing_features=all_positions(o["missing_features"] for o in own),
            library_version=__version__,
        )
        home = _home(folder, group)
        manifest.write(home)
        found[name] = PartitionedDataset(home, manifest)
    return found
