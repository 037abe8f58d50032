"""Puts a finished folder in the place of an older one, so that a crash loses neither."""

from __future__ import annotations

import ctypes
import os
from urllib.parse import urlsplit

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.locations import is_uri, local_path

__all__ = ["renames_folders", "replace_folder"]

# Names what is to be put in place, and travels with it; Spark and pyarrow do not read it.
_MARK = ".new.json"
# File systems that rename folders in one step; elsewhere a folder is but the names of its files.
_RENAMING = ("file", "hdfs", "viewfs")
# Without them readers refuse a folder, or take it for unfinished.
_LAST = ("manifest.json", "_SUCCESS")
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def renames_folders(folder: Folder) -> bool:
    """Tell whether the file system of a folder renames folders in one step."""
    return not is_uri(folder.location) or urlsplit(folder.location).scheme in _RENAMING


def replace_folder(new: Folder, target: Folder) -> None:
    """Make what is in `new` the content of `target`; what was there is deleted after.

    A call that was cut off is completed by the same call again, whenever that was. On Linux's
    disks the two change places in one step. Where folders are renamed one at a time, there is
    nothing at `target` for a moment; on stores of objects for as long as the files take to move,
    and what makes the folder valid to readers (a manifest, ``_SUCCESS``) comes last.

    Parameters
    ----------
    new : Folder
        Complete; gone in the end.
    target : Folder
        On the same file system. It need not exist.

    Raises
    ------
    StorageError
        As the store has it.
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
            aside = Folder(f"{new.location}.old")
            aside.delete()
            target.move("", "", aside)
            new.move("", "", target)
            aside.delete()
        _finish(new, target)
    else:
        _move_files(new, target)


def _finish(new: Folder, target: Folder) -> None:
    """Delete what was replaced, and only then what tells that it was."""
    new.delete()
    target.delete_file(_MARK)


def _exchange(a: Folder, b: Folder) -> bool:
    """Let two local folders change places; tell whether this system and disk can."""
    places = [local_path(folder.location) for folder in (a, b)]
    if None in places:
        return False
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):  # neither Linux nor a C library that knows it
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
        if name not in names or new.exists(name):  # not moved yet: what lies there is the old one
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
