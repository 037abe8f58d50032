"""Temporary folders for what a fit makes when the caller names no place."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import uuid
from typing import TYPE_CHECKING

from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["WORK_DIR", "empty_folder", "temporary_folder"]

WORK_DIR = "spark.sparkml_dist.workDir"


def temporary_folder(spark: SparkSession, purpose: str, param: str) -> Folder:
    """Return a new folder that the driver and all workers see, deleted when Python exits.

    On one machine it lies in the system's temporary folder; on a cluster below the setting
    ``spark.sparkml_dist.workDir``.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    purpose : str
        Part of the folder's name.
    param : str
        Param that the caller could set instead, for the message.

    Raises
    ------
    ConfigurationError
        ``no_work_dir`` on a cluster where the setting is missing.
    """
    base = spark.conf.get(WORK_DIR, None)
    if base:
        folder = Folder.at(base).child(f"{purpose}-{uuid.uuid4().hex[:12]}")
        atexit.register(_forget, folder)
        return folder
    info = SessionInfo.of(spark)
    if not info.shares_local_disk:
        raise ConfigurationError(
            "no_work_dir",
            f"On {info.master or 'a cluster'} the workers do not see this machine's temporary "
            "folder.",
            f"Set {param}, or {WORK_DIR}, to a path or URI that every worker sees.",
        )
    path = tempfile.mkdtemp(prefix=f"sparkml_dist-{purpose}-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return Folder.at(path)


def empty_folder(spark: SparkSession, where: str | None, purpose: str, param: str) -> Folder:
    """Return the folder that the caller names, or a temporary one.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    where : str or None
        What the caller named.
    purpose, param : str
        As for `temporary_folder`.

    Raises
    ------
    ConfigurationError
        ``no_work_dir`` where there is no place for a temporary one.
    StorageError
        ``output_exists``: the folder is not empty.
    """
    if where is None:
        return temporary_folder(spark, purpose, param)
    folder = Folder.at(where)
    if not folder.is_empty():
        raise StorageError(
            "output_exists", f"{param} {folder.location!r} is not empty.", "Name another folder."
        )
    return folder


def _forget(folder: Folder) -> None:
    try:
        folder.delete()
    except Exception:  # noqa: BLE001 - the interpreter is leaving; nobody is left to tell
        return
