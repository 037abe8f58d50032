"""Copies of saved models between the storage of a cluster and a folder of this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.workspace import temporary_folder
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["copy_folder", "local_copy", "within_reach"]


def local_copy(model: Any, path: Path, sign: str | None = None) -> None:
    """Save a model in a local folder.

    Workers may write a part of a model: on a cluster it is saved where all reach it, and copied.

    Parameters
    ----------
    model : Persistable
    path : Path
        A folder that does not exist yet.
    sign : str, optional
        Environment variable with a key to sign it with.
    """
    spark = _active_session()
    if spark is None or SessionInfo.of(spark).shares_local_disk:
        model.save(str(path), sign=sign)
        return
    shared = temporary_folder(spark, "tracking", "modelDir")
    try:
        model.save(shared.location, sign=sign)
        copy_folder(shared, Folder.at(path))
    finally:
        shared.delete()


def within_reach(path: Path, where: str | None) -> Folder:
    """Return the folder of a local model's copy that workers reach; on one machine it is the same.

    Parameters
    ----------
    path : Path
    where : str or None
        Folder to copy it to. By default a temporary one, where there is a session with workers on
        other machines.
    """
    local = Folder.at(path)
    if where is None:
        spark = _active_session()
        if spark is None or SessionInfo.of(spark).shares_local_disk:
            return local
        target = temporary_folder(spark, "tracking", "folder")
    else:
        target = Folder.at(where)
    copy_folder(local, target)
    return target


def copy_folder(source: Folder, target: Folder) -> None:
    """Copy all files of a folder, those of folders inside too."""
    target.create()
    for name in source.walk():
        inside, _, last = name.rpartition("/")
        home = target.child(inside) if inside else target
        home.create()
        source.copy_file_to(name, home, last)


def _active_session() -> SparkSession | None:
    from pyspark.sql import SparkSession

    return SparkSession.getActiveSession()
