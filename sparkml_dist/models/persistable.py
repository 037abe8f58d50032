"""Saving and loading of all estimators, transformers and models.

A saved object is a folder with a manifest (`sparkml_dist.persistence.model_folder`). The manifest
names a public class, and every file that may be read, with its SHA-256 checksum. Spark's own
``metadata`` is beside it, and is read only by Spark's reader of a `Pipeline`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pyspark.ml.base import Estimator, Model
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter

from sparkml_dist.errors import ConfigurationError, SparkMLDistError, StorageError
from sparkml_dist.persistence.checksums import reading_fields, signing_key
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import (
    MANIFEST,
    ModelFile,
    SavedManifest,
    check_files,
    versions,
)
from sparkml_dist.persistence.saved_folder import METADATA, SavedFolder
from sparkml_dist.persistence.trusted_types import TRUSTED_TYPES
from sparkml_dist.public_names import PUBLIC_NAMES, public_object
from sparkml_dist.session import trusted_in_session

__all__ = ["Persistable", "Saved", "load_model", "load_saved", "save_inside", "saved_inside"]

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
        return any(f.name == name for f in self.files)

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


class Persistable(MLWritable, MLReadable):
    """Base of objects that can be saved and loaded, also as stages of Spark's `Pipeline`.

    A subclass writes its files in `_write_files`, returns its other state in `_state`, and is
    rebuilt from both in `_restore`.
    """

    #: Packages whose versions are saved besides the common ones.
    _packages: ClassVar[tuple[str, ...]] = ()

    #: Its files, as listed in its manifest.
    files: tuple[ModelFile, ...] = ()
    #: Types needed to load it, trusted besides the allow-list.
    trusted: tuple[str, ...] = ()
    _home: SavedFolder | None = None
    #: Whether its folder is part of another object's, whose manifest lists its files.
    _inside: bool = False

    # -- for subclasses -------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        """Return JSON values of its state, besides Params and files."""
        return {}

    def _saved_params(self) -> dict[str, Any]:
        """Return JSON values of its Params."""
        params: Any = self
        return {p.name: params.getOrDefault(p) for p in params.params if params.isDefined(p)}

    def _write_files(self, folder: Folder) -> Sequence[ModelFile]:
        """Write its files into an empty folder; return them."""
        return ()

    def _needs_trust(self) -> Sequence[str]:
        """Return the types to trust for loading it, besides the allow-list."""
        return self.trusted

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        """Return the object without its uid and Params; its files have been checked."""
        raise NotImplementedError

    def _check_restored(self) -> None:
        """Raise if the loaded object cannot work; TypeError and the like become StorageError."""

    @classmethod
    def _check_files(cls, folder: Folder, manifest: SavedManifest) -> None:
        """Raise unless all files match the manifest."""
        check_files(folder, manifest.files)

    # -- saving ---------------------------------------------------------------------------

    def _manifest(self, files: Sequence[ModelFile]) -> SavedManifest:
        instance: Any = self
        params = self._saved_params()
        try:
            json.dumps(params)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                "not_storable",
                f"A Param of {type(self).__name__} has a value that cannot be saved: {error}.",
                "Use numbers, text, or lists and dicts of them.",
            ) from error
        return SavedManifest(
            kind=kind_of(type(self)),
            class_name=type(self).__name__,
            uid=instance.uid,
            params=params,
            state=self._state(),
            files=tuple(files),
            trusted=tuple(self._needs_trust()),
            versions=versions(*self._packages),
        )

    def _commit(
        self, home: SavedFolder, files: Sequence[ModelFile] | None = None, key: bytes | None = None
    ) -> SavedManifest:
        """Write and return the manifest of existing files; it makes the saved object exist."""
        manifest = self._manifest(self.files if files is None else files)
        _write_spark_metadata(self, home.top)
        return home.commit(manifest, key=key)

    def _save_manifest(self, home: SavedFolder | None = None, key: bytes | None = None) -> None:
        """Write the manifest of files in `home`, and read them from there from now on.

        Parameters
        ----------
        home : SavedFolder, optional
            Folder of the files; by default where the object was loaded from or fitted.
        key : bytes, optional
            Key to sign the manifest with.

        Raises
        ------
        ConfigurationError
            ``part_of_another`` for a part of a vote, a stack or a calibrated model.
        """
        home = home or self._home
        if home is None or self._inside:
            raise ConfigurationError(
                "part_of_another",
                f"This {type(self).__name__} is part of another model, whose manifest lists its "
                "files: it cannot be changed in place.",
                "Save it elsewhere and load it from there.",
            )
        self._home = SavedFolder(home.top, home.root, self._commit(home, key=key))

    def write(self) -> MLWriter:
        """Return a writer; ``write().overwrite().save(path)`` replaces an existing object.

        With ``write().option("sign", "VARIABLE")`` the manifest is signed with the key in that
        environment variable; see ``verify`` of `load_model`.
        """
        return _Writer(self)

    def save(self, path: str, *, sign: str | None = None) -> None:
        """Save to an empty or missing folder.

        Parameters
        ----------
        path : str
            Local path or URI.
        sign : str, optional
            Environment variable with a key to sign the manifest with.

        Raises
        ------
        StorageError
            ``output_exists``, or an error of writing; then nothing is left behind.
        """
        writer = self.write()
        (writer if sign is None else writer.option("sign", sign)).save(path)

    @classmethod
    def read(cls) -> MLReader:
        """Return a reader; ``Class.read().load(path)``."""
        return _Reader(cls)

    @classmethod
    def load(cls, path: str, trusted: Sequence[str] = (), verify: str | None = None) -> Self:
        """Load an object of this class from `path`; see `load_model`."""
        loaded = load_saved(Folder.at(path), trusted=trusted, verify=verify)
        if not isinstance(loaded, cls):
            raise StorageError(
                "other_class",
                f"{path!r} holds a {type(loaded).__name__}, not a {cls.__name__}.",
                "Load it with that class, or any model with sparkml_dist.load_model.",
            )
        return loaded


class _Writer(MLWriter):
    """Writes the files, then the manifest that lists them."""

    def __init__(self, instance: Persistable) -> None:
        super().__init__()
        self._instance = instance

    def save(self, path: str) -> None:
        """Write to `path`; an existing object is replaced when the new one is complete."""
        instance, top = self._instance, Folder.at(path)
        sign = self.optionMap.get("sign")
        key = None if sign is None else signing_key(str(sign))
        own = instance._home
        if own is not None and own.top.same_place(top):
            _check_not_replaced(own, instance)
            instance._save_manifest(own, key)
            return
        if own is not None and top.contains(own.top):
            raise StorageError(
                "output_is_input",
                f"{top.location!r} contains the files of the object to save, in "
                f"{own.top.location!r}.",
                "Save it elsewhere.",
            )
        home = SavedFolder.to_save(top, kind_of(type(instance)), overwrite=self.shouldOverwrite)
        _save_at(instance, home, key)


def _save_at(instance: Persistable, home: SavedFolder, key: bytes | None = None) -> None:
    try:
        files = instance._write_files(home.content)
        instance._commit(home, files, key)
    except BaseException:
        home.discard()
        raise


class _Reader(MLReader):
    """Loads objects of one class."""

    def __init__(self, kind: type[Persistable]) -> None:
        super().__init__()
        self._kind = kind

    def load(self, path: str) -> Any:
        """Load the object at `path`."""
        return self._kind.load(path)


def kind_of(cls: type) -> str:
    """Return ``"model"``, ``"estimator"`` or ``"transformer"``."""
    if issubclass(cls, Model):
        return "model"
    return "estimator" if issubclass(cls, Estimator) else "transformer"


def save_inside(instance: Persistable, folder: Folder, name: str) -> list[ModelFile]:
    """Save an object in a folder inside that of another object; return its files.

    Parameters
    ----------
    instance : Persistable
    folder : Folder
        Folder of the outer object's files.
    name : str
        Name of the folder inside.
    """
    home = SavedFolder(folder.child(name))
    if instance._home is None or not instance._home.content.same_place(home.content):
        _save_at(instance, home)
    return [ModelFile.of(folder, f"{name}/{n}") for n in home.top.walk()]


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


def _not_trusted(manifest: SavedManifest, trusted: Sequence[str]) -> list[str]:
    return [n for n in manifest.trusted if n not in trusted and n not in TRUSTED_TYPES]


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


def _class_of(manifest: SavedManifest, folder: Folder) -> type[Persistable]:
    """Return the public class that a manifest names; no other class is imported."""
    found = public_object(manifest.class_name) if manifest.class_name in PUBLIC_NAMES else None
    if not (
        isinstance(found, type)
        and issubclass(found, Persistable)
        and kind_of(found) == manifest.kind
    ):
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


def _check_not_replaced(home: SavedFolder, instance: Any) -> None:
    """Raise if another object has replaced the one to be saved in place."""
    present = SavedManifest.read(home.top) if home.top.exists(MANIFEST) else None
    if present is not None and (present.root != home.root or present.uid != instance.uid):
        raise StorageError(
            "output_replaced",
            f"{home.top.location!r} has been replaced since this {type(instance).__name__} was "
            "loaded.",
            "Load it again, or save this one elsewhere.",
        )


def _unlisted(folder: Folder, name: str) -> StorageError:
    return StorageError(
        "unlisted_file",
        f"{folder.uri(name)!r} is not listed in the manifest.",
        "It was added or renamed, or the manifest was altered: restore it, or save it again.",
    )


def _write_spark_metadata(instance: Any, top: Folder) -> None:
    """Write the metadata in which Spark's reader of a `Pipeline` finds a stage's class."""
    import pyspark

    value = {
        "class": f"sparkml_dist.{type(instance).__name__}",
        "timestamp": round(time.time() * 1000),
        "sparkVersion": pyspark.__version__,
        "uid": instance.uid,
        "paramMap": {},
        "defaultParamMap": {},
    }
    top.child(METADATA).write_bytes("part-00000.json", (json.dumps(value) + "\n").encode())
