"""Loading of everything that is saved: one reader for all classes.

A manifest names a public class, and every file that may be read, with its SHA-256: nothing else is
imported or read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.ml.base import Model

from sparkml_dist.errors import SparkMLDistError, StorageError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.home import Home
from sparkml_dist.persistence.model_folder import MANIFEST, ModelFile, SavedManifest
from sparkml_dist.persistence.seal import reading_fields, signing_key
from sparkml_dist.persistence.trusted_types import TRUSTED_TYPES
from sparkml_dist.public_names import PUBLIC_NAMES, public_object
from sparkml_dist.session import trusted_in_session

__all__ = ["Saved", "load_model", "load_saved", "saved_inside"]

_REMEDY = "It was altered, or is not whole: restore it, or save it again."


@dataclass(frozen=True)
class Saved:
    """Something saved, as its class takes it in.

    Attributes
    ----------
    home : Home
    manifest : SavedManifest
    trusted : tuple of str
        What its user trusts beside the allow-list.
    """

    home: Home
    manifest: SavedManifest
    trusted: tuple[str, ...]

    @property
    def folder(self) -> Folder:
        """Where the files lie."""
        return self.home.content

    @property
    def state(self) -> dict[str, Any]:
        """What the class itself has written down."""
        return self.manifest.state

    @property
    def files(self) -> tuple[ModelFile, ...]:
        """The files that may be read."""
        return self.manifest.files

    def has(self, name: str) -> bool:
        """Tell whether a file is listed."""
        return any(f.name == name for f in self.files)

    def names(self, head: str = "", suffix: str = "") -> list[str]:
        """Return the sorted names of listed files that begin and end so."""
        names = (f.name for f in self.files)
        return sorted(n for n in names if n.startswith(head) and n.endswith(suffix))

    def listed(self, name: str) -> str:
        """Return a file's name, if the manifest lists it.

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
        """Return what a listed JSON file holds."""
        return self.folder.read_json(self.listed(name))

    def inner(self, name: str) -> Any:
        """Load what was saved in a folder inside, whose files are listed here too."""
        return saved_inside(self.folder, name, self.files, self.trusted)


def load_model(path: str, *, trusted: Sequence[str] = (), verify: str | None = None) -> Any:
    """Load a saved model of any class, its files checked against their hashes.

    Parameters
    ----------
    path : str
        The model's folder: a local path or URI that workers see as well.
    trusted : sequence of str
        What the model needs beside the allow-list, as the error says that asks for it: dotted
        names of types in member files.
    verify : str, optional
        Environment variable with a key; only a model that was signed with it is loaded.

    Returns
    -------
    Model
        Of the class that saved it.

    Raises
    ------
    StorageError
        When there is no model, it is damaged, altered, not signed, of a newer protocol, or needs
        what is not trusted.
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
    vouched: Mapping[str, ModelFile] | None = None,
) -> Any:
    """Load what is saved in a folder, of whatever class of this library.

    Parameters
    ----------
    folder : Folder
    trusted : sequence of str
        As for `load_model`.
    verify : str, optional
        As for `load_model`.
    vouched : mapping of str to ModelFile, optional
        Files that have been checked already, by name: those of something that holds this one.

    Raises
    ------
    StorageError
        As `load_model`.
    """
    key = None if verify is None else signing_key(verify)
    if vouched is not None and MANIFEST not in vouched:
        raise _unlisted(folder, MANIFEST)
    manifest = SavedManifest.read(folder, key=key)
    cls = _class_of(manifest, folder)
    home = Home(folder, manifest.root, manifest)
    if vouched is None:
        with reading_fields(folder.uri(MANIFEST), _REMEDY):
            cls._check_files(home.content, manifest)
    else:
        for name, file in zip(manifest.names(), manifest.files, strict=True):
            if name not in vouched or vouched[name].sha256 != file.sha256:
                raise _unlisted(folder, name)
    missing = _not_trusted(manifest, trusted)
    if missing:  # asking Spark takes as long as all the rest of a small model
        trusted = (*trusted, *trusted_in_session())
        missing = _not_trusted(manifest, trusted)
    if missing:
        raise StorageError(
            "untrusted_type",
            f"{folder.location!r} needs what is not on the allow-list: {', '.join(missing)}.",
            (
                "Files with a function run when it is fitted: read them there first. "
                if any(".py:" in name for name in missing)
                else ""
            )
            + f"If you trust where it comes from, load it with trusted={missing!r} "
            f"(--trusted-types {' '.join(missing)}), or let the session trust it: "
            f"spark.conf.set('spark.sparkml_dist.trustedTypes', '{','.join(missing)}').",
        )
    with reading_fields(folder.uri(MANIFEST), _REMEDY):
        instance: Any = cls._restore(Saved(home, manifest, tuple(trusted)))
        instance._home, instance.files = home, manifest.files
        instance._inside = vouched is not None
        instance.trusted = tuple(trusted)
        instance._resetUid(manifest.uid)
        _set_params(instance, manifest, folder)
        instance._check_restored()
    return instance


def saved_inside(
    folder: Folder, name: str, files: Sequence[ModelFile], trusted: Sequence[str] = ()
) -> Any:
    """Load what `save_inside` saved.

    Parameters
    ----------
    folder : Folder
        Where the files of the outer one lie.
    name : str
        Of the folder inside.
    files : sequence of ModelFile
        Those of the outer one, which have been checked.
    trusted : sequence of str
    """
    head = f"{name}/"
    vouched = {f.name.removeprefix(head): f for f in files if f.name.startswith(head)}
    return load_saved(folder.child(name), trusted=trusted, vouched=vouched)


def _not_trusted(manifest: SavedManifest, trusted: Sequence[str]) -> list[str]:
    return [n for n in manifest.trusted if n not in trusted and n not in TRUSTED_TYPES]


def _class_of(manifest: SavedManifest, folder: Folder) -> Any:
    """Return the public class that a manifest names; nothing else is imported."""
    found = public_object(manifest.class_name) if manifest.class_name in PUBLIC_NAMES else None
    kind = getattr(found, "_saved_kind", None) if isinstance(found, type) else None
    if kind is None or kind() != manifest.kind:
        raise StorageError(
            "unknown_saved_class",
            f"{folder.location!r} names the {manifest.kind} {manifest.class_name!r}, which is none "
            "of sparkml_dist's.",
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
                f"{folder.uri(MANIFEST)!r} has a Param that cannot be: {text}.",
                "It was altered, or a newer version of sparkml_dist wrote it.",
            ) from error


def _unlisted(folder: Folder, name: str) -> StorageError:
    return StorageError(
        "unlisted_file",
        f"{folder.uri(name)!r} is not among the files that the manifest vouches for.",
        "It was added or renamed, or the manifest was altered: restore it, or save it again.",
    )
