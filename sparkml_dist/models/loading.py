"""Loading of everything that is saved: one reader for all classes.

A manifest names a public class, and every file that may be read, with its SHA-256: nothing else is
imported or read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pyspark.ml.base import Model

from sparkml_dist.errors import SparkMLDistError, StorageError
from sparkml_dist.persistence.checksums import reading_fields, signing_key
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import MANIFEST, ModelFile, SavedManifest
from sparkml_dist.persistence.saved_folder import SavedFolder
from sparkml_dist.persistence.trusted_types import TRUSTED_TYPES
from sparkml_dist.public_names import PUBLIC_NAMES, public_object
from sparkml_dist.session import trusted_in_session

__all__ = ["Saved", "load_model", "load_saved", "saved_inside"]

_REMEDY = "It was altered or is incomplete: restore it, or save it again."


@dataclass(frozen=True)
class Saved:
    """A saved object, as passed to the `_restore` of its class.

    Attributes
    ----------
    home : SavedFolder
    manifest : SavedManifest
    trusted : tuple of str
        Types that the user trusts besides the allow-list.
    """

    home: SavedFolder
    manifest: SavedManifest
    trusted: tuple[str, ...]

    @property
    def folder(self) -> Folder:
        """The folder of the files."""
        return self.home.content

    @property
    def state(self) -> dict[str, Any]:
        """The JSON values of the class's own `_state`."""
        return self.manifest.state

    @property
    def files(self) -> tuple[ModelFile, ...]:
        """The files that may be read."""
        return self.manifest.files

    def has(self, name: str) -> bool:
        """Tell whether a file is listed."""
        return name in self._listed

    @cached_property
    def _listed(self) -> frozenset[str]:
        return frozenset(f.name for f in self.files)

    def names(self, head: str = "", suffix: str = "") -> list[str]:
        """Return the sorted names of listed files with this beginning and end."""
        names = (f.name for f in self.files)
        return sorted(n for n in names if n.startswith(head) and n.endswith(suffix))

    def listed(self, name: str) -> str:
        """Return a file's name if the manifest lists it.

        Raises
        ------
        StorageError
            ``unlisted_file``.
        """
        if not self.has(name):
            raise _unlisted(self.folder, name)
        return name

    def read_bytes(self, name: str) -> bytes:
        """Return the content of a listed file."""
        return self.folder.read_bytes(self.listed(name))

    def read_json(self, name: str) -> Any:
        """Return the content of a listed JSON file."""
        return self.folder.read_json(self.listed(name))

    def inner(self, name: str) -> Any:
        """Load an object saved in a folder inside, whose files are listed here too."""
        return saved_inside(self.folder, name, self.files, self.trusted)


def load_model(path: str, *, trusted: Sequence[str] = (), verify: str | None = None) -> Any:
    """Load a saved model of any class, and check its files against their checksums.

    Parameters
    ----------
    path : str
        The model's folder: a local path or URI that workers can reach too.
    trusted : sequence of str
        Types that the model needs besides the allow-list, by dotted name; the error for an
        untrusted type lists them.
    verify : str, optional
        Environment variable with a key; the model must be signed with it.

    Returns
    -------
    Model
        A model of the class that saved it.

    Raises
    ------
    StorageError
        There is no model, or it is damaged, altered, not signed, of a newer protocol, or needs
        untrusted types.
    """
    loaded = load_saved(Folder.at(path), trusted=trusted, verify=verify)
    if not isinstance(loaded, Model):
        raise StorageError(
            "not_a_model",
            f"{path!r} holds a {type(loaded).__name__}, which is not fitted.",
            f"Load it with {type(loaded).__name__}.load.",
        )
    return loaded


def load_saved(
    folder: Folder,
    *,
    trusted: Sequence[str] = (),
    verify: str | None = None,
    outer_files: Mapping[str, ModelFile] | None = None,
) -> Any:
    """Load an object of any class of this library from a folder.

    Parameters
    ----------
    folder : Folder
    trusted : sequence of str
        As for `load_model`.
    verify : str, optional
        As for `load_model`.
    outer_files : mapping of str to ModelFile, optional
        Checked files of the outer object, by name, when this one is inside another.

    Raises
    ------
    StorageError
        Those of `load_model`.
    """
    key = None if verify is None else signing_key(verify)
    if outer_files is not None and MANIFEST not in outer_files:
        raise _unlisted(folder, MANIFEST)
    manifest = SavedManifest.read(folder, key=key)
    cls = _class_of(manifest, folder)
    home = SavedFolder(folder, manifest.root, manifest)
    if outer_files is None:
        with reading_fields(folder.uri(MANIFEST), _REMEDY):
            cls._check_files(home.content, manifest)
    else:
        for name, file in zip(manifest.names(), manifest.files, strict=True):
            if name not in outer_files or outer_files[name].sha256 != file.sha256:
                raise _unlisted(folder, name)
    missing = _not_trusted(manifest, trusted)
    if missing:  # reading Spark's settings takes as long as loading a small model
        trusted = (*trusted, *trusted_in_session())
        missing = _not_trusted(manifest, trusted)
    if missing:
        raise StorageError(
            "untrusted_type",
            f"{folder.location!r} needs types or files that are not trusted: {', '.join(missing)}.",
            (
                "Files with a function are run when the model is fitted: read them first. "
                if any(".py:" in name for name in missing)
                else ""
            )
            + f"If you trust its source, load it with trusted={missing!r} "
            f"(--trusted-types {' '.join(missing)}), or trust them in the session: "
            f"spark.conf.set('spark.sparkml_dist.trustedTypes', '{','.join(missing)}').",
        )
    with reading_fields(folder.uri(MANIFEST), _REMEDY):
        instance: Any = cls._restore(Saved(home, manifest, tuple(trusted)))
        instance._home, instance.files = home, manifest.files
        instance._inside = outer_files is not None
        instance.trusted = tuple(trusted)
        instance._resetUid(manifest.uid)
        _set_params(instance, manifest, folder)
        instance._check_restored()
    return instance


def saved_inside(
    folder: Folder, name: str, files: Sequence[ModelFile], trusted: Sequence[str] = ()
) -> Any:
    """Load an object saved by `save_inside`.

    Parameters
    ----------
    folder : Folder
        Folder of the outer object's files.
    name : str
        Name of the folder inside.
    files : sequence of ModelFile
        Files of the outer object, which have been checked.
    trusted : sequence of str
    """
    head = f"{name}/"
    outer_files = {f.name.removeprefix(head): f for f in files if f.name.startswith(head)}
    return load_saved(folder.child(name), trusted=trusted, outer_files=outer_files)


def _not_trusted(manifest: SavedManifest, trusted: Sequence[str]) -> list[str]:
    return [n for n in manifest.trusted if n not in trusted and n not in TRUSTED_TYPES]


def _class_of(manifest: SavedManifest, folder: Folder) -> Any:
    """Return the public class that a manifest names; no other class is imported."""
    found = public_object(manifest.class_name) if manifest.class_name in PUBLIC_NAMES else None
    kind = getattr(found, "_saved_kind", None) if isinstance(found, type) else None
    if kind is None or kind() != manifest.kind:
        raise StorageError(
            "unknown_saved_class",
            f"{folder.location!r} has the {manifest.kind} {manifest.class_name!r}, which is not a "
            "class of sparkml_dist.",
            "Upgrade sparkml_dist if a newer version wrote it.",
        )
    return found


def _set_params(instance: Any, manifest: SavedManifest, folder: Folder) -> None:
    for name, value in manifest.params.items():
        try:
            if not instance.hasParam(name):
                raise ValueError(f"{type(instance).__name__} has no Param {name!r}")
            instance._set(**{name: value})
        except (SparkMLDistError, TypeError, ValueError) as error:
            text = error.message if isinstance(error, SparkMLDistError) else str(error)
            raise StorageError(
                "altered_manifest",
                f"{folder.uri(MANIFEST)!r} has an invalid Param: {text}.",
                "It was altered, or a newer version of sparkml_dist wrote it.",
            ) from error


def _unlisted(folder: Folder, name: str) -> StorageError:
    return StorageError(
        "unlisted_file",
        f"{folder.uri(name)!r} is not listed in the manifest.",
        "It was added or renamed, or the manifest was altered: restore it, or save it again.",
    )
