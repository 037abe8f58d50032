"""Replaces a folder by a complete new one, so that a crash loses neither."""

from __future__ import annotations

import ctypes
import os
from urllib.parse import urlsplit

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.locations import is_uri, local_path

__all__ = ["renames_folders", "replace_folder"]

# Lists the files of the new folder, and is moved with them; Spark and pyarrow skip it.
_MARK = ".new.json"
# File systems that rename folders in one step; elsewhere a folder is only a prefix of file names.
_RENAMING = ("file", "hdfs", "viewfs")
# Without these files, readers reject a folder or consider it unfinished.
_LAST = ("manifest.json", "_SUCCESS")
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def renames_folders(folder: Folder) -> bool:
    """Tell whether a folder's file system renames folders in one step."""
    return not is_uri(folder.location) or urlsplit(folder.location).scheme in _RENAMING


def replace_folder(new: Folder, target: Folder) -> None:
    """Replace the content of `target` by that of `new`; the old content is deleted afterwards.

    After a crash, the same call completes the replacement at any later time. On local disks under
    Linux the two are exchanged in one step. Where folders are renamed one at a time, `target` is
    missing for a moment; on object stores for as long as the files take to move, and the files that
    make the folder valid to readers (a manifest, ``_SUCCESS``) are moved last.

    Parameters
    ----------
    new : Folder
        Complete; deleted at the end.
    target : Folder
        On the same file system. It may be missing.

    Raises
    ------
    StorageError
        Those of the store.
    """
    if target.exists(_MARK) and renames_folders(target):
        _finish(new, target)
        return
    if not new.exists():
        return
    if not new.exists(_MARK):
        new.write_json(_MARK, sorted(new.walk()))
    if renames_folders(target):
        if not target.exists():
            new.move("", "", target)
        elif not _exchange(new, target):
            aside = new.parent().child(f"{new.name}.old")
            aside.delete()
            target.move("", "", aside)
            new.move("", "", target)
            aside.delete()
        _finish(new, target)
    else:
        _move_files(new, target)


def _finish(new: Folder, target: Folder) -> None:
    """Delete the old content, and then the mark of the replacement."""
    new.delete()
    target.delete_file(_MARK)


def _exchange(a: Folder, b: Folder) -> bool:
    """Exchange two local folders; tell whether the system and the disk support it."""
    places = [local_path(folder.location) for folder in (a, b)]
    if None in places:
        return False
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):  # not Linux, or an older C library
        return False
    first, second = (os.fsencode(str(place)) for place in places)
    return bool(renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE) == 0)


def _move_files(new: Folder, target: Folder) -> None:
    names = new.read_json(_MARK)
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise StorageError(
            "altered_manifest", f"{new.uri(_MARK)!r} was altered.", "Delete the folder it is in."
        )
    last = [name for name in names if name in _LAST]
    for name in _LAST:
        if name not in names or new.exists(name):  # not moved yet: `target` has the old one
            target.delete_file(name)
    for name in target.walk():
        if name not in names:
            target.delete_file(name)
    target.create()
    for name in [n for n in names if n not in last] + last:
        if new.exists(name):
            if "/" in name:
                target.child(name.rpartition("/")[0]).create()
            new.move(name, name, target)
    new.delete()
