"""Partitions a DataFrame into shards that are fair random samples."""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sparkml_dist.cluster.progress import job_description, progress
from sparkml_dist.dataset.columns import ColumnPlan, Task
from sparkml_dist.dataset.equal_rows import are_bunched, separated
from sparkml_dist.dataset.feature_positions import all_positions
from sparkml_dist.dataset.hashable import hashable
from sparkml_dist.dataset.hashing import salt
from sparkml_dist.dataset.labels import class_column
from sparkml_dist.dataset.manifest import Manifest, ShardInfo
from sparkml_dist.dataset.many_columns import named_column, quoted
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.schema import FeatureSchema, Precision
from sparkml_dist.dataset.sizing import plan_sizing
from sparkml_dist.dataset.survey import Survey, survey
from sparkml_dist.dataset.writer import INDICES, KEY, LABEL, VALUES, VECTOR, WEIGHT, ShardWriter
from sparkml_dist.errors import DataError, ResourceError, SparkMLDistError
from sparkml_dist.persistence.filesystem import Folder, is_uri
from sparkml_dist.persistence.saved_folder import check_replaceable
from sparkml_dist.session import SessionInfo
from sparkml_dist.sizes import parse_size
from sparkml_dist.version import __version__

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

__all__ = ["DRAW", "drawn_rows", "keyed_rows", "partition", "placed_in", "shard_failures"]

_logger = logging.getLogger(__name__)

DRAW = "_draw"
_SHARD_BITS = 31
_WEIGHTS = {"float32": "float", "float64": "double"}


def partition(
    df: DataFrame,
    path: str | os.PathLike[str],
    *,
    label: str,
    features: str | Sequence[str] | None = None,
    weight: str | None = None,
    key: str | Sequence[str] | None = None,
    categorical: Sequence[str] = (),
    task: Task = "classification",
    shards: int | None = None,
    memory_per_task: int | str | None = None,
    precision: Precision = "float32",
    seed: int = 0,
    overwrite: bool = False,
) -> PartitionedDataset:
    """Partition `df` into i.i.d. random shards in Parquet, with a manifest.

    A hash of each row's content decides its shard and its position there, so that the shards do not
    depend on the partitions of `df`, on recomputation or on retries. The data is read once for
    the label (and once for each kind of vector column and for categories), then shuffled once;
    it never passes through the driver. Cache `df` first when computing it is expensive.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        The data, Classic or Connect.
    path : str or path-like
        Folder for the data set: a local path or URI that the driver and all workers can read.
    label : str
        Label column: numbers, strings or booleans; a number for a regression.
    features : str or sequence of str, optional
        Feature columns, by name or glob; every other column by default. Numeric and boolean
        columns, arrays of numbers, ML vectors (dense or sparse). Nulls become NaN.
    weight : str, optional
        Column of row weights, >= 0.
    key : str or sequence of str, optional
        Columns that identify a row, or a group of rows that folds must keep together. By default
        a row's content identifies it.
    categorical : sequence of str
        Feature columns (names or globs) that hold categories: strings, numbers or booleans. The
        canonical form does not depend on the source: ``1``, ``1.0`` and ``1.00`` are one category,
        and so are ``True`` and ``true``.
    task : {"classification", "regression"}, default="classification"
    shards : int, optional
        Number of shards.
    memory_per_task : int or str, optional
        Choose the number of shards so that a task that learns from one needs at most this memory
        beyond its interpreter, in bytes or like ``"512m"`` (the default).
    precision : {"float32", "float64"}, default="float32"
        Type in which features and weights are stored. Learners take float32; statistics that must
        be exact for numbers like 88.2 need float64, in twice the room.
    seed : int, default=0
        Seed of the random draws.
    overwrite : bool, default=False
        Replace an existing data set, once the new one is complete.

    Returns
    -------
    PartitionedDataset

    Raises
    ------
    DataError, ConfigurationError, ResourceError, StorageError
        For invalid data, arguments, cluster or folder. Nothing is left behind.

    References
    ----------
    Salloum, He, Huang, Zhang, Emara (2017), "Random sample partition data model for big data
    analysis", arXiv:1712.04146.
    """
    spark: SparkSession = df.sparkSession
    folder = Folder.at(path)
    memory = None if memory_per_task is None else parse_size(memory_per_task)
    _check_place(spark, folder, overwrite=overwrite)
    known = survey(
        df,
        label=label,
        features=features,
        weight=weight,
        key=key,
        categorical=categorical,
        task=task,
        memory=memory,
        precision=precision,
    )
    _refuse_reserved_names(known.schema)
    sizing = plan_sizing(
        known.rows, known.row_bytes, shards=shards, memory_per_task=memory_per_task
    )
    existed = folder.exists()
    home = folder.child(f"shards-{uuid.uuid4().hex[:8]}")
    weighted = known.plan.weight is not None
    writer = ShardWriter(home, known.schema, known.label, weighted, sizing.row_group_rows)
    try:
        description = f"sparkml_dist: write {sizing.shards} shards"
        with job_description(spark, description):
            rows = keyed_rows(df, known)
            written = _write(drawn_rows(rows, seed), writer, sizing.shards)
            if _bunched(written):
                _logger.info("the data has many equal rows: each gets a draw of its own")
                home.delete()
                written = _write(
                    drawn_rows(_separated(rows, known.plan), seed), writer, sizing.shards
                )
        manifest = _manifest(known, seed, home, written)
        if manifest.rows != known.rows:
            raise DataError(
                "rows_changed",
                f"{manifest.rows:,} rows were written, but {known.rows:,} were counted before.",
                "The data changes while it is read; cache it or write it to files first.",
            )
        manifest.write(folder)
    except BaseException:
        home.delete()
        if not existed:
            folder.delete()
        raise
    _delete_others(folder, home)
    _logger.info(
        "partitioned %d rows into %d shards in %s", manifest.rows, sizing.shards, folder.location
    )
    return PartitionedDataset(folder, manifest)


def _check_place(spark: SparkSession, folder: Folder, *, overwrite: bool) -> None:
    info = SessionInfo.of(spark)
    if info.kind in ("standalone", "yarn", "k8s") and not is_uri(folder.location):
        _logger.warning(
            "%s is a local path on a %s cluster: all workers must share this folder",
            folder.location,
            info.kind,
        )
    check_replaceable(folder, "dataset", overwrite=overwrite)


def _refuse_reserved_names(schema: FeatureSchema) -> None:
    if schema.layout != "columns":
        return
    reserved = {KEY, LABEL, WEIGHT, VECTOR, INDICES, VALUES}
    clash = [n for n in schema.feature_names if n in reserved]
    if clash:
        raise DataError(
            "column_name",
            f"The feature column {clash[0]!r} has a name that shards use internally.",
            "Rename it.",
        )


def keyed_rows(df: DataFrame, known: Survey, others: Sequence[Column] = ()) -> DataFrame:
    """Return the rows to shuffle: content hash, key, others, label, weight if any, features."""
    from pyspark.sql import functions as F

    plan = known.plan
    columns: list[Column] = [*others, class_column(plan.label, known.label.kind).alias(LABEL)]
    if plan.weight:
        columns.append(
            named_column(plan.weight).cast(_WEIGHTS[known.schema.precision]).alias(WEIGHT)
        )
    columns += known.schema.transport(df)
    keys = [
        hashable(F.col(name), df.schema[key].dataType).alias(f"_key{i}")
        for i, (key, name) in enumerate(zip(plan.key, quoted(plan.key), strict=True))
    ]
    carried = df.select(*columns, *keys)
    content = F.xxhash64(*carried.columns)
    identity = [f"_key{i}" for i in range(len(keys))]
    row_key = F.xxhash64(*identity) if identity else content
    return carried.select(
        content.alias(DRAW),
        row_key.alias(KEY),
        *[c for c in carried.columns if c not in identity],
    )


def drawn_rows(rows: DataFrame, seed: int) -> DataFrame:
    """Return keyed rows with their draw in place of the hash of their content."""
    from pyspark.sql import functions as F

    draw = F.xxhash64(F.col(DRAW), F.lit(salt("shard")).cast("long"), F.lit(seed).cast("long"))
    return rows.withColumn(DRAW, draw)


def _separated(rows: DataFrame, plan: ColumnPlan) -> DataFrame:
    """Give each copy of equal rows a content hash (and a key) of its own."""
    from pyspark.sql import functions as F

    spread = separated(rows, DRAW)
    return spread if plan.key else spread.withColumn(KEY, F.col(DRAW))


def _write(rows: DataFrame, writer: ShardWriter, shards: int) -> list[dict[str, Any]]:
    from pyspark.sql import functions as F

    shard = placed_in(F.lit(shards))

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None
        index = context.partitionId()
        try:
            outcome = writer.write(index, batches)
        except SparkMLDistError as error:
            # A result row, not an exception, because a retry would not help.
            outcome = {"error": [type(error).__name__, error.code, error.message, error.hint]}
        yield pa.RecordBatch.from_pydict({"outcome": [json.dumps(outcome)]})

    placed = rows.repartitionById(shards, shard).sortWithinPartitions(DRAW)
    with progress(shards, f"write {shards} shards", lambda: len(writer.folder.names(".parquet"))):
        collected = placed.mapInArrow(write, "outcome string").collect()
    return _outcomes([r["outcome"] for r in collected], shards)


def _outcomes(texts: Sequence[str], shards: int) -> list[dict[str, Any]]:
    """Return the outcomes of writing tasks in the order of the shards; raise where one failed."""
    outcomes = [json.loads(text) for text in texts]
    shard_failures(outcomes)
    if sorted(o["shard"]["index"] for o in outcomes) != list(range(shards)):
        raise ResourceError(
            "shards_lost",
            f"Spark ran {len(outcomes)} tasks for {shards} shards.",
            "Is a rule of adaptive execution coalescing partitions? See spark-defaults.conf.",
        )
    return sorted(outcomes, key=lambda o: o["shard"]["index"])


def placed_in(shards: Column) -> Column:
    """Return the shard of a drawn row, from 0 to below `shards`, by the high bits of its draw."""
    from pyspark.sql import functions as F

    high = F.shiftrightunsigned(DRAW, 64 - _SHARD_BITS)
    return F.shiftright(high * shards.cast("long"), _SHARD_BITS).cast("int")


def shard_failures(outcomes: Sequence[dict[str, Any]]) -> None:
    """Raise the first error that a writing task has returned as its outcome."""
    import sparkml_dist.errors as errors

    for outcome in outcomes:
        if "error" in outcome:
            name, code, message, hint = outcome["error"]
            raise getattr(errors, name)(code, message, hint)


def _bunched(written: list[dict[str, Any]]) -> bool:
    rows = sum(o["shard"]["rows"] for o in written)
    duplicates = sum(o["duplicates"] for o in written)
    longest = max(o["longest_run"] for o in written)
    return are_bunched(rows, duplicates, longest)


def _manifest(known: Survey, seed: int, home: Folder, written: list[dict[str, Any]]) -> Manifest:
    name = home.name
    shards = []
    for outcome in written:
        info = ShardInfo.from_dict(outcome["shard"])
        shards.append(replace(info, file=f"{name}/{info.file}"))
    missing = all_positions(o["missing_features"] for o in written)
    return Manifest(
        schema=known.schema,
        label=known.label,
        weight=known.plan.weight,
        key=known.plan.key,
        seed=seed,
        shards=tuple(shards),
        missing_features=missing,
        library_version=__version__,
    )


def _delete_others(folder: Folder, home: Folder) -> None:
    """Delete the shards of a data set that has just been replaced."""
    keep = home.name
    old = {f.split("/")[0] for f in folder.walk() if f.startswith("shards-")} - {keep}
    for name in old:
        folder.child(name).delete()
