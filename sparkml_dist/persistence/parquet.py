"""Writes tables as Parquet and reads them back, on stores that Spark itself cannot open as well."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.checksums import reading_fields
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.names import check_names

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

__all__ = [
    "CONNECTOR_HINT",
    "MISSING_CONNECTOR",
    "WrittenTable",
    "errors_of_store",
    "read_files",
    "read_written",
    "write_parquet",
]

_SPACE = "Free some space there or in spark.local.dir, or write elsewhere."
_RIGHTS = "Let the user that the driver and the workers run as write there, or write elsewhere."
_PLACE = "Check the path, on the driver and on the workers."
#: What Spark says where its Java side cannot open a store, though pyarrow can.
MISSING_CONNECTOR = r"No FileSystem for scheme|Class org\.apache\.hadoop\.fs\.\S+ not found"
CONNECTOR_HINT = (
    "Add the store's Hadoop connector with spark.jars.packages (for s3a:// hadoop-aws), or give a "
    "local or shared path. Shards, models, tables that are written, and score_files need no "
    "connector."
)
_REASONS = (
    (MISSING_CONNECTOR, "connector_missing", CONNECTOR_HINT),
    (r"No space left on device|Disk quota exceeded|File too large", "disk_full", _SPACE),
    (r"Read-only file system", "read_only", "The disk is mounted read-only; write elsewhere."),
    (r"Permission denied|AccessControlException|Access ?Denied", "no_permission", _RIGHTS),
    (r"File name too long", "name_too_long", "Choose a shorter path."),
    (r"Not a directory|NotDirectoryException|ParentNotDirectory", "not_a_folder", _PLACE),
    (r"Mkdirs failed|PATH_ALREADY_EXISTS|FileAlreadyExists", "storage_failed", _PLACE),
)
# Where Spark's own reader finds the types of columns that Arrow has no type for, such as vectors.
_SPARK_SCHEMA = b"org.apache.spark.sql.parquet.row.metadata"
_SUCCESS = "_SUCCESS"
_ROWS_AT_ONCE = 1 << 16
_MOST_TASKS = 1000


@dataclass(frozen=True)
class WrittenTable:
    """A table that `write_parquet` has written.

    Attributes
    ----------
    folder : Folder
    names : tuple of str
        Of the files, in the order of Spark's partitions.
    schema : pyspark.sql.types.StructType
    """

    folder: Folder
    names: tuple[str, ...]
    schema: StructType

    def read(self, spark: SparkSession) -> DataFrame:
        """Return the rows."""
        return read_files(spark, self.folder, self.names, self.schema)


def write_parquet(df: DataFrame, folder: Folder) -> WrittenTable:
    """Write a DataFrame as Parquet into a folder that does not exist.

    On object stores, tasks write the files with pyarrow: each appears whole, under its final name,
    and Spark needs no connector. ``_SUCCESS`` comes last everywhere; on object stores it names the
    files, so that nobody has to trust a listing.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    folder : Folder

    Raises
    ------
    StorageError
        ``disk_full``, ``read_only``, ``no_permission``, ``name_too_long``, ``not_a_folder`` or
        ``storage_failed``, when the exception shows that the store failed.
    """
    if folder.is_object_store:
        return WrittenTable(folder, _written_by_tasks(df, folder), df.schema)
    with errors_of_store(folder):
        df.write.parquet(folder.spark_path())
    return WrittenTable(folder, tuple(folder.names(".parquet")), df.schema)


@contextmanager
def errors_of_store(folder: Folder, verb: str = "write") -> Iterator[None]:
    """Raise Spark's errors of a store as ours.

    Parameters
    ----------
    folder : Folder
    verb : str
        What Spark does there, for the message.

    Raises
    ------
    StorageError
        Those of `write_parquet`, and ``connector_missing``.
    """
    try:
        yield
    except Exception as error:
        text = str(error)
        if "sparkml_dist.errors." in text:  # a task's own error is more specific
            raise
        for pattern, code, hint in _REASONS:
            if found := re.search(f".*({pattern}).*", text):
                line = found.group().strip()[:300]
                raise StorageError(
                    code, f"Spark cannot {verb} {folder.location!r}: {line}.", hint
                ) from error
        raise


def read_files(
    spark: SparkSession, folder: Folder, names: Sequence[str], schema: StructType
) -> DataFrame:
    """Read Parquet files of a folder, by name.

    On object stores, tasks read them with pyarrow.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    folder : Folder
    names : sequence of str
    schema : pyspark.sql.types.StructType
    """
    if not names:
        return spark.createDataFrame([], schema)
    if not folder.is_object_store:
        return spark.read.schema(schema).parquet(*[folder.spark_path(n) for n in names])

    def read(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for name in batch.column(0).to_pylist():
                with folder.opened(name) as stream:
                    file = pq.ParquetFile(stream)
                    yield from file.iter_batches(_ROWS_AT_ONCE, columns=schema.names)

    listed = spark.createDataFrame([(name,) for name in names], "name string")
    return listed.repartition(min(len(names), _MOST_TASKS)).mapInArrow(read, schema)


def read_written(spark: SparkSession, folder: Folder) -> DataFrame:
    """Read a table that `write_parquet` has written, now or in an earlier run.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    folder : Folder

    Raises
    ------
    StorageError
        ``file_not_found`` on an object store where the table is not complete; ``altered_manifest``.
    """
    if not folder.is_object_store:
        return spark.read.parquet(folder.spark_path())
    from pyspark.sql.types import StructType

    found = folder.read_json(_SUCCESS)
    with reading_fields(folder.uri(_SUCCESS), "Write the table again."):
        names, schema = check_names(found["files"], folder), StructType.fromJson(found["schema"])
    return read_files(spark, folder, names, schema)


def _written_by_tasks(df: DataFrame, folder: Folder) -> tuple[str, ...]:
    metadata = {_SPARK_SCHEMA: df.schema.json().encode()}

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None
        first = next(batches, None)
        if first is None:
            return
        # A repeated task writes the same file again.
        name = f"part-{context.partitionId():05d}.parquet"
        kind = first.schema.with_metadata(metadata)
        error: tuple[str | None, ...] = (None, None, None)
        try:
            with folder.committing(name) as sink, pq.ParquetWriter(sink, kind) as writer:
                writer.write_batch(first)
                for batch in batches:
                    writer.write_batch(batch)
        except StorageError as caught:  # a row, which arrives as it is; the store was tried again
            error = (caught.code, caught.message, caught.hint)
        columns = dict(zip(("code", "message", "hint"), ([e] for e in error), strict=True))
        yield pa.RecordBatch.from_pydict(
            {"name": [name], **columns},
            schema=pa.schema([(n, pa.string()) for n in ("name", *columns)]),
        )

    columns = "name string, code string, message string, hint string"
    rows = df.mapInArrow(write, columns).collect()
    for row in rows:
        if row["code"]:
            raise StorageError(row["code"], row["message"], row["hint"] or "")
    names = sorted(row["name"] for row in rows)
    if not names:
        from pyspark.sql.pandas.types import to_arrow_schema

        names = ["part-00000.parquet"]
        with folder.committing(names[0]) as sink:
            pq.write_table(to_arrow_schema(df.schema, timezone="UTC").empty_table(), sink)
    folder.write_json(_SUCCESS, {"files": names, "schema": df.schema.jsonValue()})
    return tuple(names)
