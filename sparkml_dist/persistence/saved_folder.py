"""The folder of a saved object, and the atomic replacement of its content.

A saved model (or estimator) is a folder with a manifest. At first its files are beside the
manifest. A replacement is written to a folder inside, ``version-2`` and so on; then the manifest
alone is replaced, in one step. Until then the old model is complete, and from then on the new one,
on object stores too. The old model's files are deleted afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.persistence.checksums import check_document, reading_fields, with_checksum
from sparkml_dist.persistence.filesystem import LOCK_PREFIX, Folder, is_unfinished
from sparkml_dist.persistence.model_folder import FORMAT, MANIFEST, SavedManifest
from sparkml_dist.persistence.names import check_names

__all__ = [
    "PLAN",
    "SavedFolder",
    "begin_fit",
    "check_free_for_fit",
    "check_replaceable",
    "contents",
]

#: The settings that decide a fit's outcome; a fit with an equal plan may resume it.
PLAN = "plan.json"
METADATA = "metadata"
_PLAN_FORMAT = "sparkml_dist.fit"
_PLAN_PROTOCOL = 1
_DATASET_FORMAT = "sparkml_dist.dataset"
# Files of a partitioning that was killed: whole shards without a manifest.
_SHARDS = re.compile(r"shards-[0-9a-f]{8}/shard-[0-9]{5}\.parquet")
_VERSION = re.compile(r"version-([1-9][0-9]{0,8})")
_HOLDS = {
    "model": "holds a saved model",
    "estimator": "holds a saved estimator",
    "transformer": "holds a saved transformer",
    "dataset": "holds a partitioned data set",
    "fit": "holds an unfinished fit",
    "other": "is not empty, and holds nothing that sparkml_dist could replace",
}


def contents(folder: Folder) -> str:
    """Return the kind of content of a folder.

    Returns
    -------
    str
        ``"model"``, ``"estimator"``, ``"transformer"``, ``"dataset"``, ``"fit"`` (an unfinished
        one), ``"other"``, or an empty string for an empty folder and for one with nothing but
        shards of a partitioning that was killed.
    """
    # By their names first: the listing of an object store may lag behind.
    if not (known := folder.exists(MANIFEST)):
        names = [n for n in folder.walk() if not (n.startswith(LOCK_PREFIX) or is_unfinished(n))]
        if all(map(_SHARDS.fullmatch, names)) and not folder.exists(PLAN):
            return ""
    if known:
        value = folder.read_object(MANIFEST)
        if value.get("format") == FORMAT and value.get("kind") in _HOLDS:
            return str(value["kind"])
        return "dataset" if value.get("format") == _DATASET_FORMAT else "other"
    if folder.exists(PLAN) and folder.read_object(PLAN).get("format") == _PLAN_FORMAT:
        return "fit"
    return "other"


def check_replaceable(folder: Folder, kind: str, *, overwrite: bool) -> None:
    """Raise unless an object of a kind may be written to a folder.

    Parameters
    ----------
    folder : Folder
    kind : {"model", "estimator", "transformer", "dataset"}
        Kind of the object. It never replaces another kind, even with `overwrite`.
    overwrite : bool

    Raises
    ------
    StorageError
        ``output_exists``.
    """
    present = contents(folder)
    if not present or (overwrite and present == kind):
        return
    raise StorageError(
        "output_exists",
        f"{folder.location!r} {_HOLDS[present]}.",
        "Save elsewhere, or use write().overwrite().save(path)."
        if present == kind != "dataset"
        else "Open it with open_partitioned, or pass overwrite=True."
        if present == kind
        else "Choose another folder; it will not be overwritten.",
    )


def check_free_for_fit(folder: Folder, *, overwrite: bool, resume: bool) -> None:
    """Raise unless a fit may write its model to a folder.

    Parameters
    ----------
    folder : Folder
        The Param ``modelDir``.
    overwrite, resume : bool
        Whether to replace an existing model, or to resume a fit.

    Raises
    ------
    StorageError
        ``output_exists``: the folder has other content, or a model and neither `overwrite` nor
        `resume` is set.
    """
    present = contents(folder)
    if not present:
        return
    if present not in ("model", "fit"):
        raise StorageError(
            "output_exists",
            f"modelDir {folder.location!r} {_HOLDS[present]}.",
            "Choose another folder; it will not be overwritten.",
        )
    if not (overwrite or resume):
        raise StorageError(
            "output_exists",
            f"modelDir {folder.location!r} {_HOLDS[present]}.",
            "Pass overwrite=True to replace it or resume=True to complete it.",
        )


def begin_fit(
    folder: Folder,
    plan: dict[str, Any],
    *,
    overwrite: bool,
    resume: bool,
    growing: Sequence[str] = (),
) -> SavedFolder:
    """Return the folder for a fit's model, with the results of an equal fit when resuming.

    Parameters
    ----------
    folder : Folder
        The Param ``modelDir``.
    plan : dict
        JSON values that decide the outcome of the fit.
    overwrite, resume : bool
        As for `check_free_for_fit`. A resumed fit deletes nothing.
    growing : sequence of str
        Settings of the plan that may be larger than in the fit that is resumed.

    Raises
    ------
    StorageError
        Those of `check_free_for_fit`, and ``nothing_to_resume`` for a model that was saved there,
        not fitted there.
    ConfigurationError
        ``plan_differs``.
    """
    check_free_for_fit(folder, overwrite=overwrite, resume=resume)
    present = contents(folder)
    previous = SavedManifest.read(folder) if present == "model" else None
    if present and resume:
        return _resumed(folder, previous, plan, growing)
    if present == "fit":  # nothing in it is complete
        for name in {n.partition("/")[0] for n in folder.walk() if "/" in n}:
            folder.child(name).delete()
        for name in folder.names():
            if not name.startswith(LOCK_PREFIX):
                folder.delete_file(name)
    home = SavedFolder(folder, _next_root(folder, previous) if previous else "", previous)
    for name in _versions(folder):
        if previous is None or name != previous.root:
            folder.child(name).delete()  # of unfinished fits
    home.content.create()
    _write_plan(home.content, plan)
    return home


def _write_plan(folder: Folder, plan: dict[str, Any]) -> None:
    value = {"format": _PLAN_FORMAT, "protocol": _PLAN_PROTOCOL, "plan": plan}
    folder.write_json(PLAN, with_checksum(value))


def _has_grown(before: dict[str, Any], now: dict[str, Any], growing: Sequence[str]) -> bool:
    """Tell whether two plans differ in settings only that are larger in the second one.

    Numbers grow by their value, lists by further entries at their end.
    """
    differing = [k for k in {*before, *now} if before.get(k) != now.get(k)]
    return all(k in growing and _is_larger(before.get(k), now.get(k)) for k in differing)


def _is_larger(before: Any, now: Any) -> bool:
    if isinstance(before, list) and isinstance(now, list):
        return now[: len(before)] == before
    return isinstance(before, int) and isinstance(now, int) and before < now


def _resumed(
    folder: Folder, previous: SavedManifest | None, plan: dict[str, Any], growing: Sequence[str]
) -> SavedFolder:
    current = previous.root if previous else ""
    roots = [*(v for v in _versions(folder) if v != current), current]
    stored = {root: _stored_plan(folder.child(root) if root else folder) for root in roots}
    for root, found in stored.items():
        if found == plan:
            return SavedFolder(folder, root, previous)
        if found is not None and _has_grown(found, plan, growing):
            grown = SavedFolder(folder, root, previous, grown=True)
            _write_plan(grown.content, plan)
            return grown
    known = next((found for found in stored.values() if found is not None), None)
    if known is None:
        raise StorageError(
            "nothing_to_resume",
            f"The model in {folder.location!r} was saved there, not fitted there: there is no fit "
            "to resume.",
            "Choose another folder, or pass overwrite=True, without resume, to replace it.",
        )
    differing = [
        f"{k}: {known.get(k)!r} before, {plan.get(k)!r} now"
        for k in sorted({*known, *plan})
        if known.get(k) != plan.get(k)
    ]
    raise ConfigurationError(
        "plan_differs",
        f"The fit in {folder.location!r} was started with other settings: {'; '.join(differing)}.",
        "Resume with the same settings and data, or pass overwrite=True, without resume, to start "
        "again.",
    )


def _stored_plan(folder: Folder) -> dict[str, Any] | None:
    if not folder.exists(PLAN):
        return None
    value = folder.read_json(PLAN)
    check_document(value, _PLAN_FORMAT, _PLAN_PROTOCOL, folder.uri(PLAN))
    with reading_fields(folder.uri(PLAN), "Start the fit again with overwrite=True."):
        return dict(value["plan"])


def _versions(folder: Folder) -> list[str]:
    """Return the names of the version folders inside, the newest first."""
    found = {name.partition("/")[0] for name in folder.walk() if "/" in name}
    numbers = sorted((int(m[1]) for n in found if (m := _VERSION.fullmatch(n))), reverse=True)
    return [f"version-{number}" for number in numbers]


def _next_root(folder: Folder, previous: SavedManifest) -> str:
    # The manifest's own version may not be listed yet.
    taken = [*_versions(folder), previous.root or "version-1"]
    return f"version-{max(int(name.partition('-')[2]) for name in taken) + 1}"


@dataclass(frozen=True)
class SavedFolder:
    """The folder of a saved object.

    Attributes
    ----------
    top : Folder
        The folder that the user names; it has the manifest.
    root : str
        Folder inside `top` that has the files; empty when they are beside the manifest.
    previous : SavedManifest or None
        Manifest of the object that it replaces.
    grown : bool
        Whether a fit there is resumed with larger settings than it had.
    """

    top: Folder
    root: str = ""
    previous: SavedManifest | None = None
    grown: bool = False

    @classmethod
    def to_save(cls, folder: Folder, kind: str, *, overwrite: bool) -> SavedFolder:
        """Return the folder for a complete new object; raises as `check_replaceable`."""
        check_replaceable(folder, kind, overwrite=overwrite)
        if folder.is_empty() and not folder.exists(MANIFEST):
            return cls(folder)
        previous = SavedManifest.read(folder)
        return cls(folder, _next_root(folder, previous), previous)

    @property
    def content(self) -> Folder:
        """The folder of the files."""
        return self.top.child(self.root) if self.root else self.top

    def commit(self, manifest: SavedManifest, *, key: bytes | None = None) -> SavedManifest:
        """Write the manifest, then delete files of the replaced object.

        Parameters
        ----------
        manifest : SavedManifest
            Its `root` and `leftover` are filled in.
        key : bytes, optional
            Key to sign it with.

        Returns
        -------
        SavedManifest
            The manifest as written.
        """
        manifest = replace(manifest, root=self.root)
        present = [n for n in self.top.walk() if n != MANIFEST and not _is_transient(n)]
        kept = {*manifest.names()}
        before: set[str] = set()
        if self.previous:
            before = {*self.previous.names(), *check_names(self.previous.leftover, self.top)}
        if self.root:
            leftover = [n for n in present if n in before]
        else:
            # The folder was empty at first, so that all other files belong to this object.
            heads = {n.partition("/")[0] for n in kept if "/" in n} | {PLAN}
            own = self.previous is None
            leftover = [
                n
                for n in present
                if n not in kept
                and not _VERSION.fullmatch(n.partition("/")[0])
                and (own or n in before or n.partition("/")[0] in heads)
            ]
        manifest = replace(manifest, leftover=tuple(leftover))
        manifest.write(self.top, key=key)
        if self.previous is not None and self.previous.root != self.root:
            self._delete_replaced(before)
        return manifest

    def _delete_replaced(self, old: set[str]) -> None:
        """Delete the files of the replaced object, and all other versions."""
        heads = {name.partition("/")[0] for name in old}
        for name in sorted(old):
            if _VERSION.fullmatch(name.partition("/")[0]) is None:
                self.top.delete_file(name)
        for head in sorted(heads - {*_versions(self.top)}):
            if self.top.child(head).is_empty():
                self.top.child(head).delete()
        for version in _versions(self.top):
            if version != self.root:
                self.top.child(version).delete()

    def discard(self) -> None:
        """Delete uncommitted files."""
        self.content.delete()


def _is_transient(name: str) -> bool:
    """Tell whether a file is Spark's metadata, a lock or a temporary file."""
    return name.partition("/")[0] == METADATA or name.startswith(LOCK_PREFIX) or is_unfinished(name)
