"""The manifest of what is saved: models, estimators and transformers, in one form."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.fields import checksum, items, mapping, natural, one_of, text
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.names import check_inside, check_names
from sparkml_dist.persistence.seal import check_sealed, check_signed, reading_fields, sealed, signed

__all__ = ["FORMAT", "MANIFEST", "ModelFile", "SavedManifest", "check_files", "versions"]

MANIFEST = "manifest.json"
FORMAT = "sparkml_dist.saved"
PROTOCOL = 1
KINDS = ("model", "estimator", "transformer")
_ROOT = re.compile(r"(version-[1-9][0-9]{0,8})?")
_PACKAGES = ("sparkml_dist", "pyspark", "scikit-learn", "numpy", "pyarrow", "skops")
_REMEDY = "It was altered, or is not whole: restore it, or save it again."


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python and of installed packages, by name."""
    found = {"python": platform.python_version()}
    for name in (*_PACKAGES, *packages):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class ModelFile:
    """One file of what is saved: its name in the folder, size in bytes and SHA-256."""

    name: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, folder: Folder, name: str) -> ModelFile:
        """Look at a file that has just been written."""
        return cls(name, folder.size(name), folder.sha256(name))

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as it stands in a manifest."""
        return {"name": self.name, "bytes": self.bytes, "sha256": self.sha256}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> ModelFile:
        """Return the entry of a manifest; raises KeyError, TypeError or ValueError."""
        size, digest = natural(value["bytes"], "bytes"), checksum(value["sha256"], "sha256")
        return cls(value["name"], size, digest)


@dataclass(frozen=True)
class SavedManifest:
    """Everything about what is saved that is not in its files.

    Attributes
    ----------
    kind : {"model", "estimator", "transformer"}
    class_name : str
        Public name of its class, as `sparkml_dist` offers it.
    uid : str
    params : dict
        JSON values of its Params.
    state : dict
        JSON values of what else its class needs to work.
    files : tuple of ModelFile
        Every file that may be read, with names inside `root`.
    trusted : tuple of str
        What has to be trusted to load it, beside the allow-list.
    versions : dict of str
    root : str
        Folder inside the manifest's in which the files lie; empty where they lie beside it.
    leftover : tuple of str
        Files beside the manifest that nothing reads, and that go when it is replaced; to be
        checked then.
    """

    kind: str
    class_name: str
    uid: str
    params: dict[str, Any]
    state: dict[str, Any]
    files: tuple[ModelFile, ...]
    trusted: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    root: str = ""
    leftover: tuple[str, ...] = ()

    def names(self) -> list[str]:
        """Return the names of the files as seen from the manifest's folder."""
        return [f"{self.root}/{f.name}" if self.root else f.name for f in self.files]

    def write(self, folder: Folder, *, key: bytes | None = None) -> None:
        """Write the manifest; from this moment on, what is saved exists.

        Parameters
        ----------
        folder : Folder
        key : bytes, optional
            To sign it with; see `signing_key`.
        """
        check_names((f.name for f in self.files), folder)
        value = {
            "format": FORMAT,
            "protocol": PROTOCOL,
            "kind": self.kind,
            "class": self.class_name,
            "uid": self.uid,
            "versions": self.versions,
            "params": self.params,
            "trusted": list(self.trusted),
            "state": self.state,
            "root": self.root,
            "files": [f.to_dict() for f in self.files],
            "leftover": list(self.leftover),
        }
        folder.write_json(MANIFEST, sealed(value) if key is None else signed(value, key))

    @classmethod
    def read(cls, folder: Folder, *, key: bytes | None = None) -> SavedManifest:
        """Read a manifest; the files that it names are not looked at.

        Parameters
        ----------
        folder : Folder
        key : bytes, optional
            Key that it must be signed with.

        Raises
        ------
        StorageError
            ``not_a_model``, ``not_a_manifest``, ``newer_protocol``, ``altered_manifest``,
            ``not_signed`` or ``name_outside_folder``.
        """
        if not folder.exists(MANIFEST):
            raise StorageError(
                "not_a_model",
                f"There is no saved model in {folder.location!r}.",
                "Name the folder that holds the model's manifest.json.",
            )
        where = folder.uri(MANIFEST)
        value = folder.read_json(MANIFEST)
        check_sealed(value, FORMAT, PROTOCOL, where)
        if key is not None:
            check_signed(value, key, where)
        with reading_fields(where, _REMEDY):
            manifest = cls(
                kind=one_of(value["kind"], "kind", KINDS),
                class_name=text(value["class"], "class"),
                uid=text(value["uid"], "uid"),
                params=mapping(value["params"], "params"),
                state=mapping(value["state"], "state"),
                files=tuple(ModelFile.from_dict(f) for f in items(value["files"], "files")),
                trusted=tuple(text(t, "trusted") for t in items(value["trusted"], "trusted")),
                versions=mapping(value["versions"], "versions"),
                root=text(value["root"], "root"),
                leftover=tuple(text(n, "leftover") for n in items(value["leftover"], "leftover")),
            )
            if not _ROOT.fullmatch(manifest.root):
                raise ValueError(f"root must be the name of a version, not {manifest.root!r}")
        inside = folder.child(check_inside(manifest.root, folder)) if manifest.root else folder
        check_names((f.name for f in manifest.files), inside)
        return manifest


def check_files(folder: Folder, files: Sequence[ModelFile]) -> None:
    """Raise unless every file is there with its size and its SHA-256.

    Raises
    ------
    StorageError
        ``file_not_found`` or ``file_altered``.
    """
    by_name = {file.name: file for file in files}
    for name, size, sha256 in folder.checksums({f.name: f.bytes for f in files}):
        compare_file(folder, by_name[name], size, sha256)


def compare_file(folder: Folder, file: ModelFile, size: int, sha256: str) -> None:
    """Raise unless a file was found with the size and SHA-256 of the manifest.

    Parameters
    ----------
    folder : Folder
    file : ModelFile
        What the manifest says.
    size : int
        As found; negative where there is no such file.
    sha256 : str
        As found.

    Raises
    ------
    StorageError
        ``file_not_found`` or ``file_altered``.
    """
    where = folder.uri(file.name)
    if size < 0:
        raise StorageError(
            "file_not_found",
            f"The model's file {where!r} is missing.",
            "Restore it, or fit the model anew.",
        )
    if size != file.bytes or sha256 != file.sha256:
        found = (
            f"{size:,} bytes in place of {file.bytes:,}"
            if size != file.bytes
            else "its SHA-256 differs"
        )
        raise StorageError(
            "file_altered",
            f"The model's file {where!r} does not match its manifest: {found}.",
            "It was cut or altered; restore it, or fit the model anew.",
        )
