"""The manifest of a saved model, estimator or transformer."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.checksums import (
    check_document,
    check_signature,
    reading_fields,
    with_checksum,
    with_signature,
)
from sparkml_dist.persistence.fields import checksum, items, mapping, natural, one_of, text
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.names import check_inside, check_names

__all__ = ["FORMAT", "MANIFEST", "ModelFile", "SavedManifest", "check_files", "versions"]

MANIFEST = "manifest.json"
FORMAT = "sparkml_dist.saved"
PROTOCOL = 1
KINDS = ("model", "estimator", "transformer")
_ROOT = re.compile(r"(version-[1-9][0-9]{0,8})?")
_PACKAGES = ("sparkml_dist", "pyspark", "scikit-learn", "numpy", "pyarrow", "skops")
_REMEDY = "It was altered or is incomplete: restore it, or save it again."


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
    """A file of a saved object: its name in the folder, size in bytes and SHA-256 checksum."""

    name: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, folder: Folder, name: str) -> ModelFile:
        """Return the entry of a file that has just been written."""
        return cls(name, folder.size(name), folder.sha256(name))

    def to_dict(self) -> dict[str, Any]:
        """Return the file's entry in a manifest."""
        return {"name": self.name, "bytes": self.bytes, "sha256": self.sha256}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> ModelFile:
        """Return the file of an entry; raise KeyError, TypeError or ValueError for others."""
        size, digest = natural(value["bytes"], "bytes"), checksum(value["sha256"], "sha256")
        return cls(value["name"], size, digest)


@dataclass(frozen=True)
class SavedManifest:
    """The metadata of a saved object.

    Attributes
    ----------
    kind : {"model", "estimator", "transformer"}
    class_name : str
        Public name of its class in `sparkml_dist`.
    uid : str
    params : dict
        JSON values of its Params.
    state : dict
        Further JSON values that its class needs.
    files : tuple of ModelFile
        All files that may be read, with names relative to `root`.
    trusted : tuple of str
        Types to trust for loading, besides the allow-list.
    versions : dict of str
    root : str
        Folder of the files, inside the manifest's folder; empty when they are beside the manifest.
    leftover : tuple of str
        Files beside the manifest that nothing reads, to be deleted when the object is replaced;
        their names are checked then.
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
        """Return the names of the files relative to the manifest's folder."""
        return [f"{self.root}/{f.name}" if self.root else f.name for f in self.files]

    def write(self, folder: Folder, *, key: bytes | None = None) -> None:
        """Write the manifest; it makes the saved object exist.

        Parameters
        ----------
        folder : Folder
        key : bytes, optional
            Key to sign it with; see `signing_key`.
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
        signed = with_checksum(value) if key is None else with_signature(value, key)
        folder.write_json(MANIFEST, signed, depth=4)

    @classmethod
    def read(cls, folder: Folder, *, key: bytes | None = None) -> SavedManifest:
        """Read a manifest, without its files.

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
                "Give the folder with the model's manifest.json.",
            )
        where = folder.uri(MANIFEST)
        value = folder.read_json(MANIFEST)
        check_document(value, FORMAT, PROTOCOL, where)
        if key is not None:
            check_signature(value, key, where)
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
    """Raise unless every file exists with its size and SHA-256 checksum.

    Raises
    ------
    StorageError
        ``file_not_found`` or ``file_altered``.
    """
    by_name = {file.name: file for file in files}
    for name, size, sha256 in folder.checksums({f.name: f.bytes for f in files}):
        compare_file(folder, by_name[name], size, sha256)


def compare_file(folder: Folder, file: ModelFile, size: int, sha256: str) -> None:
    """Raise unless a file has the size and SHA-256 checksum of the manifest.

    Parameters
    ----------
    folder : Folder
    file : ModelFile
        Its entry in the manifest.
    size : int
        Actual size; negative where there is no such file.
    sha256 : str
        Actual checksum.

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
            "Restore it, or fit the model again.",
        )
    if size != file.bytes or sha256 != file.sha256:
        found = (
            f"{size:,} bytes instead of {file.bytes:,}"
            if size != file.bytes
            else "its SHA-256 checksum differs"
        )
        raise StorageError(
            "file_altered",
            f"The model's file {where!r} does not match its manifest: {found}.",
            "It was truncated or altered; restore it, or fit the model again.",
        )
