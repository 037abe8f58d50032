"""Names that a manifest gives to files: inside its own folder, and nowhere else."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from typing import Any

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder, local_path

__all__ = ["check_inside", "check_names"]

# What leads elsewhere on some file system, or is read as something else in a URI: separators of
# Windows, schemes and drive letters, escapes, queries, fragments, and what no name needs.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\:%?#*|<>\"]")
# Nearly all names: a few short parts without anything that has to be looked at.
_PLAIN = re.compile(r"[A-Za-z0-9_-]([A-Za-z0-9_-]|[./](?=[A-Za-z0-9_-])){,200}")
_LONGEST = 1024
_LONGEST_PART = 255


def check_inside(name: Any, folder: Folder) -> str:
    """Return a name that a manifest gives to a file, if it stays inside the manifest's folder.

    Parameters
    ----------
    name : any
        As it stands in the manifest. Only relative names of plain parts, joined by ``/``, pass.
    folder : Folder
        Where the manifest lies. On a local disk, links that lead out of it are found.

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
        Local path of the folder; None where there is none.
    plain : set of str
        Local folders that are known to be no links; more are added.
    """
    why = _fault(name)
    if why is None and root is not None:
        why = _link_out(root, name, plain)
    if why is not None:
        raise StorageError(
            "name_outside_folder",
            f"The manifest in {folder.location!r} names the file {_shown(name)}: {why}.",
            "A manifest names files of its own folder only. It was altered, or made by something "
            "else: do not open it unless you know where it comes from.",
        )


def check_names(names: Iterable[Any], folder: Folder) -> list[str]:
    """Return the names of a manifest, each inside its folder and none of them twice.

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
    """Return what is wrong with a name itself; None for a name without fault."""
    if not isinstance(name, str):
        return f"a name is text, not {type(name).__name__}"
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
        # Blanks around dots, and dots at the end, are dropped by some file systems.
        if not part.strip(" .") or part != part.strip() or part.endswith("."):
            return f"{part!r} is no name of a file or folder"
    return None


def _link_out(root: str, name: str, plain: set[str]) -> str | None:
    """Return how a link on the way to a file leaves the folder `root`; None where none does."""
    path = root
    for part in name.split("/"):
        path = f"{path}/{part}"
        if path in plain:
            continue
        try:
            linked = stat.S_ISLNK(os.lstat(path).st_mode)
        except OSError:  # not there: whoever reads it says so
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
