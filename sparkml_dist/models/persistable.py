"""Saving of all estimators, transformers and models.

A saved object is a folder with a manifest (`sparkml_dist.persistence.model_folder`). The manifest
names a public class, and every file that may be read, with its SHA-256 checksum. Spark's own
``metadata`` is beside it, and is read only by Spark's reader of a `Pipeline`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any, ClassVar, Self

from pyspark.ml.base import Estimator, Model
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter

from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.models.loading import Saved, load_saved
from sparkml_dist.persistence.checksums import signing_key
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import (
    MANIFEST,
    ModelFile,
    SavedManifest,
    check_files,
    versions,
)
from sparkml_dist.persistence.saved_folder import METADATA, SavedFolder

__all__ = ["Persistable", "save_inside"]


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
    def _saved_kind(cls) -> str:
        """Return ``"model"``, ``"estimator"`` or ``"transformer"``."""
        if issubclass(cls, Model):
            return "model"
        return "estimator" if issubclass(cls, Estimator) else "transformer"

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
                "param_not_saved",
                f"A Param of {type(self).__name__} has a value that cannot be saved: {error}.",
                "Use numbers, text, or lists and dicts of them.",
            ) from error
        return SavedManifest(
            kind=self._saved_kind(),
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
        home = SavedFolder.to_save(top, instance._saved_kind(), overwrite=self.shouldOverwrite)
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


def _check_not_replaced(home: SavedFolder, instance: Any) -> None:
    """Raise where something else has taken the place of what is to be saved over itself."""
    present = SavedManifest.read(home.top) if home.top.exists(MANIFEST) else None
    if present is not None and (present.root != home.root or present.uid != instance.uid):
        raise StorageError(
            "output_replaced",
            f"{home.top.location!r} has been replaced since this {type(instance).__name__} was "
            "loaded.",
            "Load it again, or save this one elsewhere.",
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
