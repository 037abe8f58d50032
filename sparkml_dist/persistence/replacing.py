"""Replaces a folder by a complete new one, so that a crash loses neither."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence import locations
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.locations import local_path

__all__ = ["renames_folders", "replace_folder"]

# Lists the files of the new folder, and is moved with them; Spark and pyarrow skip it.
_MARK = ".new.json"
# Without these files, readers reject a folder or consider it unfinished.
_LAST = ("manifest.json", "_scores.json", "_SUCCESS")
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def renames_folders(folder: Folder) -> bool:
    """Tell whether a folder's file system renames folders in one step."""
    return locations.renames_folders(folder.location)


def replace_folder(new: Folder, target: Folder, names: Iterable[str] = ()) -> None:
    """Replace the content of `target` by that of `new`; the old content is deleted afterwards.

    After a crash, the same call completes the replacement at any later time. On local disks under
    Linux the two are exchanged in one step. Where folders are renamed one at a time, `target` is
    missing for a moment. On object stores files are copied one by one; those that make the folder
    valid to readers (a manifest, ``_scores.json``, ``_SUCCESS``) are taken away first, and come
    last.

    Parameters
    ----------
    new : Folder
        Complete; deleted at the end.
    target : Folder
        On the same file system. It may be missing.
    names : iterable of str
        Files of `new` that other processes have written: the listing of an object store may not
        have them yet. Those that a manifest in `new` names need not be given.

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
        files = sorted({*new.walk(), *names})
        if not renames_folders(new):
            # A listing may lack files, and show some that have been moved already.
            files = sorted({*files, *_named(new)})
            files = [name for name, size in zip(files, new.sizes(files), strict=True) if size >= 0]
            if not files:
                new.delete()  # all were moved, and their mark deleted
                return
        new.write_json(_MARK, files)
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


def _named(new: Folder) -> list[str]:
    """Return the files that a manifest in a folder names, whether or not a listing has them."""
    found: list[str] = []
    for manifest in _LAST:
        if not new.exists(manifest):
            continue
        value = new.read_object(manifest)
        if not value:
            continue
        head = f"{value['root']}/" if value.get("root") else ""
        found += [manifest]
        found += [head + (f["name"] if isinstance(f, dict) else f) for f in value.get("files", ())]
        found += [shard["file"] for shard in value.get("shards", ())]
    return [name for name in found if "://" not in name and not name.startswith("/")]


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
        elif not target.exists(name):
            raise StorageError(
                "storage_failed",
                f"{new.uri(name)!r} was complete, and is gone.",
                "Do not delete it: it is needed until it has been copied. Run the job again.",
            )
    new.delete()
