"""Temporary folders for the files of a fit without a folder of its own."""

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
    """Return a new folder that the driver and all workers can reach, deleted when Python exits.

    On one machine it is in the system's temporary folder; on a cluster below the folder in the
    setting ``spark.sparkml_dist.workDir``.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    purpose : str
        A part of the folder's name.
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
        atexit.register(_delete_quietly, folder)
        return folder
    info = SessionInfo.of(spark)
    if not info.shares_local_disk:
        raise ConfigurationError(
            "no_work_dir",
            f"On {info.master or 'a cluster'} the workers cannot reach this machine's temporary "
            "folder.",
            f"Set {param}, or {WORK_DIR}, to a path or URI that all workers can reach.",
        )
    path = tempfile.mkdtemp(prefix=f"sparkml_dist-{purpose}-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return Folder.at(path)


def empty_folder(spark: SparkSession, where: str | None, purpose: str, param: str) -> Folder:
    """Return the empty folder that the caller names, or a temporary one.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    where : str or None
        The caller's folder.
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


def _delete_quietly(folder: Folder) -> None:
    try:
        folder.delete()
    except Exception:  # noqa: BLE001 - the interpreter exits; nothing can be reported
        return
