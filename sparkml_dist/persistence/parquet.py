"""Writes Parquet with Spark, and reports errors of the store as such."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["CONNECTOR_HINT", "MISSING_CONNECTOR", "write_parquet"]

_SPACE = "Free some space there or in spark.local.dir, or write elsewhere."
_RIGHTS = "Let the user that the driver and the workers run as write there, or write elsewhere."
_PLACE = "Check the path, on the driver and on the workers."
#: What Spark says where its Java side cannot open a store, though pyarrow can.
MISSING_CONNECTOR = r"No FileSystem for scheme|Class org\.apache\.hadoop\.fs\.\S+ not found"
CONNECTOR_HINT = (
    "Add the store's Hadoop connector with spark.jars.packages (for s3a:// hadoop-aws), or give a "
    "local or shared path. Shards, models and score_files need no connector."
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


def write_parquet(df: DataFrame, folder: Folder) -> None:
    """Write a DataFrame as Parquet into a folder that does not exist.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    folder : Folder

    Raises
    ------
    StorageError
        ``disk_full``, ``read_only``, ``no_permission``, ``name_too_long``, ``not_a_folder`` or
        ``storage_failed``, when Spark's exception shows that the store failed.
    """
    try:
        df.write.parquet(folder.spark_path())
    except Exception as error:
        text = str(error)
        if "sparkml_dist.errors." in text:  # a task's own error is more specific
            raise
        for pattern, code, hint in _REASONS:
            if found := re.search(f".*({pattern}).*", text):
                line = found.group().strip()[:300]
                raise StorageError(
                    code, f"Spark cannot write {folder.location!r}: {line}.", hint
                ) from error
        raise
