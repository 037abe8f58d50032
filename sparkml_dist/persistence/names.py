"""Checks that file names in a manifest stay inside its own folder."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from typing import Any

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder, local_path

__all__ = ["check_inside", "check_names"]

# Characters that lead elsewhere on some file system, or have a meaning in URIs: Windows separators,
# schemes and drive letters, escapes, queries, fragments, control characters.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\:%?#*|<>\"]")
# Matches nearly all names: a few short parts of harmless characters.
_PLAIN = re.compile(r"[A-Za-z0-9_-]([A-Za-z0-9_-]|[./](?=[A-Za-z0-9_-])){,200}")
_LONGEST = 1024
_LONGEST_PART = 255


def check_inside(name: Any, folder: Folder) -> str:
    """Return a file name of a manifest; raise unless it stays inside the manifest's folder.

    Parameters
    ----------
    name : any
        The manifest's value. Only relative names of plain parts, joined by ``/``, pass.
    folder : Folder
        Folder of the manifest. On a local disk, links that lead out of it are detected.

    Returns
    -------
    str
        `name`, unchanged.

    Raises
    ------
    StorageError
        ``name_outside_folder``.
    """
    _check(name, folder, local_path(folder.location), set())
    return str(name)


def _check(name: Any, folder: Folder, root: str | None, plain: set[str]) -> None:
    """Raise for a name that leads out of a folder.

    Parameters
    ----------
    name : any
    folder : Folder
    root : str or None
        Local path of the folder; None for a remote one.
    plain : set of str
        Local folders known not to be links; extended by this call.
    """
    why = _fault(name)
    if why is None and root is not None:
        why = _link_outside(root, name, plain)
    if why is not None:
        raise StorageError(
            "name_outside_folder",
            f"The manifest in {folder.location!r} names the file {_shown(name)}: {why}.",
            "A manifest only names files in its own folder. This one was altered, or made by other "
            "software: do not open it unless you know its source.",
        )


def check_names(names: Iterable[Any], folder: Folder) -> list[str]:
    """Return the names of a manifest; raise unless each is inside its folder and unique.

    Raises
    ------
    StorageError
        ``name_outside_folder`` or ``altered_manifest``.
    """
    found: list[str] = []
    seen: set[str] = set()
    root, plain = local_path(folder.location), set[str]()
    for name in names:
        _check(name, folder, root, plain)
        found.append(name)
        if name in seen:
            raise StorageError(
                "altered_manifest",
                f"The manifest in {folder.location!r} names the file {_shown(name)} twice.",
                "It was altered; restore it.",
            )
        seen.add(name)
    return found


def _fault(name: Any) -> str | None:
    """Return what is wrong with a name; None for a valid one."""
    if not isinstance(name, str):
        return f"a name must be text, not {type(name).__name__}"
    if _PLAIN.fullmatch(name):
        return None
    if not name:
        return "it is empty"
    if name.startswith("/"):
        return "it is absolute"
    if found := _FORBIDDEN.search(name):
        return f"it contains {found[0]!r}"
    try:
        lengths = [len(part.encode()) for part in name.split("/")]
    except UnicodeEncodeError:
        return "it is not Unicode text"
    if sum(lengths) > _LONGEST or max(lengths) > _LONGEST_PART:
        return "it is too long"
    for part in name.split("/"):
        # Some file systems drop blanks around dots, and dots at the end.
        if not part.strip(" .") or part != part.strip() or part.endswith("."):
            return f"{part!r} is not a name of a file or folder"
    return None


def _link_outside(root: str, name: str, plain: set[str]) -> str | None:
    """Describe a link in the path of a file that leaves the folder `root`; None without one."""
    path = root
    for part in name.split("/"):
        path = f"{path}/{part}"
        if path in plain:
            continue
        try:
            linked = stat.S_ISLNK(os.lstat(path).st_mode)
        except OSError:  # missing: reported when it is read
            return None
        if not linked:
            plain.add(path)
        else:
            target, home = os.path.realpath(path), os.path.realpath(root)
            if os.path.commonpath([target, home]) != home:
                return f"it is a link that leads to {target!r}"
    return None


def _shown(name: Any) -> str:
    text = repr(name)
    return text if len(text) <= 80 else f"{text[:77]}..."
