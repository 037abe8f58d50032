"""Where something saved lies, and how what is new takes the place of what is old.

A saved model (or estimator) is a folder with a manifest. Its files lie beside the manifest at
first. What replaces it is written to a folder inside, ``version-2`` and so on, and the one file
that is replaced, in one step, is the manifest: until then the old model is whole, and from then on
the new one is, on object stores too. Files of the old model go afterwards.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.persistence.filesystem import LOCK_PREFIX, Folder, is_unfinished
from sparkml_dist.persistence.model_folder import FORMAT, MANIFEST, SavedManifest
from sparkml_dist.persistence.names import check_names
from sparkml_dist.persistence.seal import check_sealed, reading_fields, sealed

__all__ = ["PLAN", "Home", "begin_fit", "check_free_for_fit", "check_replaceable", "contents"]

#: What decides a fit that has begun, so that another like it can go on.
PLAN = "plan.json"
METADATA = "metadata"
_PLAN_FORMAT = "sparkml_dist.fit"
_PLAN_PROTOCOL = 1
_DATASET_FORMAT = "sparkml_dist.dataset"
# What a cut that was killed leaves: whole shards, and no manifest.
_CUT = re.compile(r"shards-[0-9a-f]{8}/shard-[0-9]{5}\.parquet")
_VERSION = re.compile(r"version-([1-9][0-9]{0,8})")
_HOLDS = {
    "model": "holds a saved model",
    "estimator": "holds a saved estimator",
    "transformer": "holds a saved transformer",
    "dataset": "holds a partitioned data set",
    "fit": "holds the beginning of a fit",
    "other": "is not empty, and holds nothing of sparkml_dist's that could be replaced",
}


def contents(folder: Folder) -> str:
    """Tell what a folder holds.

    Returns
    -------
    str
        ``"model"``, ``"estimator"``, ``"transformer"``, ``"dataset"``, ``"fit"`` (one that has
        begun, and has not ended), ``"other"``, or the empty string for an empty folder, and for
        one with nothing but shards of a cut that was killed.
    """
    names = [n for n in folder.walk() if not (n.startswith(LOCK_PREFIX) or is_unfinished(n))]
    if all(map(_CUT.fullmatch, names)):
        return ""
    if folder.exists(MANIFEST):
        value = _json_of(folder, MANIFEST)
        if value.get("format") == FORMAT and value.get("kind") in _HOLDS:
            return str(value["kind"])
        return "dataset" if value.get("format") == _DATASET_FORMAT else "other"
    if folder.exists(PLAN) and _json_of(folder, PLAN).get("format") == _PLAN_FORMAT:
        return "fit"
    return "other"


def check_replaceable(folder: Folder, kind: str, *, overwrite: bool) -> None:
    """Raise unless something of a kind may be written to a folder.

    Parameters
    ----------
    folder : Folder
    kind : {"model", "estimator", "transformer", "dataset"}
        What is to be written. It replaces its own kind only, whatever `overwrite` says.
    overwrite : bool

    Raises
    ------
    StorageError
        ``output_exists``.
    """
    there = contents(folder)
    if not there or (overwrite and there == kind):
        return
    raise StorageError(
        "output_exists",
        f"{folder.location!r} {_HOLDS[there]}.",
        "Save elsewhere, or use write().overwrite().save(path)."
        if there == kind != "dataset"
        else "Open it with open_partitioned, or pass overwrite=True."
        if there == kind
        else "Choose another folder; it will not be overwritten.",
    )


def check_free_for_fit(folder: Folder, *, overwrite: bool, resume: bool) -> None:
    """Raise unless a fit may write its model to a folder.

    Parameters
    ----------
    folder : Folder
        The Param ``modelDir``.
    overwrite, resume : bool
        Whether a model there is to be replaced, or a fit that was begun there is to go on.

    Raises
    ------
    StorageError
        ``output_exists``: something else lies there, or a model that is neither to be replaced
        nor completed.
    """
    there = contents(folder)
    if not there:
        return
    if there not in ("model", "fit"):
        raise StorageError(
            "output_exists",
            f"modelDir {folder.location!r} {_HOLDS[there]}.",
            "Choose another folder; it will not be overwritten.",
        )
    if not (overwrite or resume):
        raise StorageError(
            "output_exists",
            f"modelDir {folder.location!r} {_HOLDS[there]}.",
            "Pass overwrite=True to replace it or resume=True to complete it.",
        )


def begin_fit(folder: Folder, plan: dict[str, Any], *, overwrite: bool, resume: bool) -> Home:
    """Return where a fit is to write its model, with what an equal fit has left there.

    Parameters
    ----------
    folder : Folder
        The Param ``modelDir``.
    plan : dict
        JSON values that decide the outcome.
    overwrite, resume : bool
        As for `check_free_for_fit`. A fit that goes on deletes nothing.

    Raises
    ------
    StorageError
        As `check_free_for_fit`, and ``nothing_to_resume`` for a model that was saved there, but
        not fitted there.
    ConfigurationError
        ``plan_differs``.
    """
    check_free_for_fit(folder, overwrite=overwrite, resume=resume)
    there = contents(folder)
    previous = SavedManifest.read(folder) if there == "model" else None
    if there and resume:
        return _gone_on(folder, previous, plan)
    if there == "fit":  # nothing of it is whole
        for name in {n.partition("/")[0] for n in folder.walk() if "/" in n}:
            folder.child(name).delete()
        for name in folder.names():
            if not name.startswith(LOCK_PREFIX):
                folder.delete_file(name)
    home = Home(folder, _next_root(folder) if previous else "", previous)
    for name in _versions(folder):
        if previous is None or name != previous.root:
            folder.child(name).delete()  # left by fits that did not come to their end
    home.content.create()
    value = {"format": _PLAN_FORMAT, "protocol": _PLAN_PROTOCOL, "plan": plan}
    home.content.write_json(PLAN, sealed(value))
    return home


def _gone_on(folder: Folder, previous: SavedManifest | None, plan: dict[str, Any]) -> Home:
    current = previous.root if previous else ""
    roots = [*(v for v in _versions(folder) if v != current), current]
    stored = {root: _stored_plan(folder.child(root) if root else folder) for root in roots}
    for root, found in stored.items():
        if found == plan:
            return Home(folder, root, previous)
    known = next((found for found in stored.values() if found is not None), None)
    if known is None:
        raise StorageError(
            "nothing_to_resume",
            f"The model in {folder.location!r} was saved there, not fitted: there is no fit to go "
            "on with.",
            "Choose another folder, or pass overwrite=True, without resume, to replace it.",
        )
    differing = [
        f"{k}: {known.get(k)!r} stored, {plan.get(k)!r} now"
        for k in sorted({*known, *plan})
        if known.get(k) != plan.get(k)
    ]
    raise ConfigurationError(
        "plan_differs",
        f"The fit begun in {folder.location!r} had another plan: {'; '.join(differing)}.",
        "Resume with the same settings and data, or pass overwrite=True, without resume, to begin "
        "anew.",
    )


def _stored_plan(folder: Folder) -> dict[str, Any] | None:
    if not folder.exists(PLAN):
        return None
    value = folder.read_json(PLAN)
    check_sealed(value, _PLAN_FORMAT, _PLAN_PROTOCOL, folder.uri(PLAN))
    with reading_fields(folder.uri(PLAN), "Begin the fit anew with overwrite=True."):
        return dict(value["plan"])


def _json_of(folder: Folder, name: str) -> dict[str, Any]:
    try:
        value = folder.read_json(name)
    except StorageError:
        return {}
    return value if isinstance(value, dict) else {}


def _versions(folder: Folder) -> list[str]:
    """Return the names of the version folders inside, the newest first."""
    found = {name.partition("/")[0] for name in folder.walk() if "/" in name}
    numbers = sorted((int(m[1]) for n in found if (m := _VERSION.fullmatch(n))), reverse=True)
    return [f"version-{number}" for number in numbers]


def _next_root(folder: Folder) -> str:
    newest = next(iter(_versions(folder)), "version-1")
    return f"version-{int(newest.partition('-')[2]) + 1}"


@dataclass(frozen=True)
class Home:
    """Where something saved lies.

    Attributes
    ----------
    top : Folder
        The folder that its user names, with the manifest.
    root : str
        Folder inside in which its files lie; empty where they lie beside the manifest.
    previous : SavedManifest or None
        Of what it replaces.
    """

    top: Folder
    root: str = ""
    previous: SavedManifest | None = None

    @classmethod
    def to_save(cls, folder: Folder, kind: str, *, overwrite: bool) -> Home:
        """Return where to write something whole; raises as `check_replaceable`."""
        check_replaceable(folder, kind, overwrite=overwrite)
        if folder.is_empty():
            return cls(folder)
        return cls(folder, _next_root(folder), SavedManifest.read(folder))

    @property
    def content(self) -> Folder:
        """Where the files lie."""
        return self.top.child(self.root) if self.root else self.top

    def commit(self, manifest: SavedManifest, *, key: bytes | None = None) -> SavedManifest:
        """Put a manifest in place, then delete what it no longer names of what was there.

        Parameters
        ----------
        manifest : SavedManifest
            Its `root` and `leftover` are filled in.
        key : bytes, optional
            To sign it with.

        Returns
        -------
        SavedManifest
            As it was written.
        """
        manifest = replace(manifest, root=self.root)
        there = [n for n in self.top.walk() if n != MANIFEST and not _is_passing(n)]
        kept = {*manifest.names()}
        before: set[str] = set()
        if self.previous:
            before = {*self.previous.names(), *check_names(self.previous.leftover, self.top)}
        if self.root:
            leftover = [n for n in there if n in before]
        else:
            # The folder was empty when it was taken, so that what else lies there is this one's.
            heads = {n.partition("/")[0] for n in kept if "/" in n} | {PLAN}
            own = self.previous is None
            leftover = [
                n
                for n in there
                if n not in kept
                and not _VERSION.fullmatch(n.partition("/")[0])
                and (own or n in before or n.partition("/")[0] in heads)
            ]
        manifest = replace(manifest, leftover=tuple(leftover))
        manifest.write(self.top, key=key)
        if self.previous is not None and self.previous.root != self.root:
            self._sweep(before)
        return manifest

    def _sweep(self, old: set[str]) -> None:
        """Delete files of what was replaced, and versions that are not this one."""
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
        """Delete what was written and not committed."""
        self.content.delete()


def _is_passing(name: str) -> bool:
    """Tell whether a file is Spark's metadata, a lock, or one that is being written."""
    return name.partition("/")[0] == METADATA or name.startswith(LOCK_PREFIX) or is_unfinished(name)
