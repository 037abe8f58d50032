"""A model at rest: a folder of files and the manifest that vouches for them."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.seal import check_sealed, reading_fields, sealed

__all__ = ["ModelFile", "ModelManifest", "versions"]

MANIFEST = "manifest.json"
FORMAT = "sparkml_dist.model"
PROTOCOL = 1
_PACKAGES = ("sparkml_dist", "pyspark", "scikit-learn", "numpy", "pyarrow", "skops")


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
    """One file of a model: its name in the folder, size in bytes and SHA-256."""

    name: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, folder: Folder, name: str) -> ModelFile:
        """Look at a file that has just been written."""
        return cls(name, folder.size(name), folder.sha256(name))


@dataclass(frozen=True)
class ModelManifest:
    """Everything about a model that is not in its files.

    Attributes
    ----------
    class_name : str
        Dotted path of the model's class.
    uid : str
    params : dict
        JSON values of the model's Params.
    schema : FeatureSchema
    label : Label
    files : tuple of ModelFile
    content : dict
        What the class itself needs to work.
    summary : dict
        How the fit went.
    versions : dict of str
    """

    class_name: str
    uid: str
    params: dict[str, Any]
    schema: FeatureSchema
    label: Label
    files: tuple[ModelFile, ...]
    content: dict[str, Any]
    summary: dict[str, Any]
    versions: dict[str, str]

    def write(self, folder: Folder) -> None:
        """Write the manifest; from this moment the model exists."""
        value = {
            "format": FORMAT,
            "protocol": PROTOCOL,
            "class": self.class_name,
            "uid": self.uid,
            "versions": self.versions,
            "params": self.params,
            "features": self.schema.to_dict(),
            "label": self.label.to_dict(),
            "content": self.content,
            "summary": self.summary,
            "files": [{"name": f.name, "bytes": f.bytes, "sha256": f.sha256} for f in self.files],
        }
        folder.write_json(MANIFEST, sealed(value))

    @classmethod
    def read(cls, folder: Folder, *, verify: bool = True) -> ModelManifest:
        """Read a model's manifest and check the files that it names.

        Parameters
        ----------
        folder : Folder
        verify : bool, default=True
            Compare every file's SHA-256, not only its size.

        Raises
        ------
        StorageError
            ``not_a_model``, ``newer_protocol``, ``altered_manifest``, ``file_not_found``,
            ``file_altered``.
        """
        if not folder.exists(MANIFEST):
            raise StorageError(
                "not_a_model",
                f"There is no saved model in {folder.location!r}.",
                "Name the folder that holds the model's manifest.json.",
            )
        value = folder.read_json(MANIFEST)
        check_sealed(value, FORMAT, PROTOCOL, folder.uri(MANIFEST))
        with reading_fields(folder.uri(MANIFEST), "Fit the model anew."):
            manifest = cls(
                class_name=value["class"],
                uid=value["uid"],
                params=value["params"],
                schema=FeatureSchema.from_dict(value["features"]),
                label=Label.from_dict(value["label"]),
                files=tuple(ModelFile(**f) for f in value["files"]),
                content=value["content"],
                summary=value["summary"],
                versions=value["versions"],
            )
        check_files(folder, manifest.files, verify=verify)
        return manifest


def check_files(folder: Folder, files: Sequence[ModelFile], *, verify: bool) -> None:
    """Raise unless every file is there with its size and, if asked, its SHA-256."""
    for file in files:
        size = folder.size(file.name)
        if size < 0:
            raise StorageError(
                "file_not_found",
                f"The model's file {folder.uri(file.name)!r} is missing.",
                "Restore it, or fit the model anew.",
            )
        if size != file.bytes or (verify and folder.sha256(file.name) != file.sha256):
            raise StorageError(
                "file_altered",
                f"The model's file {folder.uri(file.name)!r} does not match its manifest: "
                + (
                    f"{size:,} bytes in place of {file.bytes:,}."
                    if size != file.bytes
                    else "its SHA-256 differs."
                ),
                "It was cut or altered; restore it, or fit the model anew.",
            )
