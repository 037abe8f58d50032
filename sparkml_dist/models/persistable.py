"""Saving of everything that is fitted or set up: one form, one writer.

What is saved is a folder with a manifest (`sparkml_dist.persistence.model_folder`). The manifest
names a public class, and every file that may be read, with its SHA-256. Beside it stands Spark's
own ``metadata``, which only Spark's reader of a `Pipeline` looks at.
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
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.home import METADATA, Home
from sparkml_dist.persistence.model_folder import (
    MANIFEST,
    ModelFile,
    SavedManifest,
    check_files,
    versions,
)
from sparkml_dist.persistence.seal import signing_key

__all__ = ["Persistable", "save_inside"]


class Persistable(MLWritable, MLReadable):
    """Base of what can be saved and loaded; Spark's `Pipeline` can do so too.

    A subclass writes its files in `_write_files`, returns what else it needs in `_state`, and is
    made of both in `_restore`.
    """

    #: Packages whose versions are worth keeping beside the common ones.
    _packages: ClassVar[tuple[str, ...]] = ()

    #: Files that it consists of, as its manifest lists them.
    files: tuple[ModelFile, ...] = ()
    #: What is trusted beside the allow-list, and needed to load it.
    trusted: tuple[str, ...] = ()
    _home: Home | None = None
    #: Whether its folder is part of another's, whose manifest vouches for this one's.
    _inside: bool = False

    # -- for subclasses -------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        """Return JSON values: all that it needs beside Params and files."""
        return {}

    def _saved_params(self) -> dict[str, Any]:
        """Return JSON values of its Params."""
        params: Any = self
        return {p.name: params.getOrDefault(p) for p in params.params if params.isDefined(p)}

    def _write_files(self, folder: Folder) -> Sequence[ModelFile]:
        """Write its files into an empty folder; return them."""
        return ()

    def _needs_trust(self) -> Sequence[str]:
        """Return what has to be trusted to load it, beside the allow-list."""
        return self.trusted

    @classmethod
    def _saved_kind(cls) -> str:
        """Return ``"model"``, ``"estimator"`` or ``"transformer"``."""
        if issubclass(cls, Model):
            return "model"
        return "estimator" if issubclass(cls, Estimator) else "transformer"

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        """Return what was saved, without its uid and Params; its files have been checked."""
        raise NotImplementedError

    def _check_restored(self) -> None:
        """Raise where what was loaded could not work; TypeError and its like are told as such."""

    @classmethod
    def _check_files(cls, folder: Folder, manifest: SavedManifest) -> None:
        """Raise unless all files are as the manifest lists them."""
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
                f"A Param of {type(self).__name__} has a value that is not stored: {error}.",
                "Give numbers, text, or lists and dicts of them.",
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
        self, home: Home, files: Sequence[ModelFile] | None = None, key: bytes | None = None
    ) -> SavedManifest:
        """Write the manifest of files that are there, and return it; now it is saved."""
        manifest = self._manifest(self.files if files is None else files)
        _write_spark_metadata(self, home.top)
        return home.commit(manifest, key=key)

    def _settle(self, home: Home | None = None, key: bytes | None = None) -> None:
        """Write the manifest of files that lie at home; they are read from there from now on.

        Parameters
        ----------
        home : Home, optional
            Where the files lie; where it was loaded from or fitted, when not given.
        key : bytes, optional
            To sign it with.

        Raises
        ------
        ConfigurationError
            ``part_of_another`` for what a vote, a stack or a calibrated model holds.
        """
        home = home or self._home
        if home is None or self._inside:
            raise ConfigurationError(
                "part_of_another",
                f"This {type(self).__name__} is part of another model, whose manifest vouches for "
                "its files: it cannot be changed where it lies.",
                "Save it elsewhere and load it from there.",
            )
        self._home = Home(home.top, home.root, self._commit(home, key=key))

    def write(self) -> MLWriter:
        """Return a writer; ``write().overwrite().save(path)`` replaces what is there.

        With ``write().option("sign", "VARIABLE")`` the manifest is signed with the key in that
        environment variable; see ``verify`` of `load_model`.
        """
        return _Writer(self)

    def save(self, path: str, *, sign: str | None = None) -> None:
        """Save to a folder that is empty, or not there.

        Parameters
        ----------
        path : str
            Local path or URI.
        sign : str, optional
            Environment variable with a key to sign the manifest with.

        Raises
        ------
        StorageError
            ``output_exists``, or what writing raises; nothing is left behind then.
        """
        writer = self.write()
        (writer if sign is None else writer.option("sign", sign)).save(path)

    @classmethod
    def read(cls) -> MLReader:
        """Return a reader; ``Class.read().load(path)``."""
        return _Reader(cls)

    @classmethod
    def load(cls, path: str, trusted: Sequence[str] = (), verify: str | None = None) -> Self:
        """Load what was saved at `path` and is of this class; as `load_model`."""
        loaded = load_saved(Folder.at(path), trusted=trusted, verify=verify)
        if not isinstance(loaded, cls):
            raise StorageError(
                "other_class",
                f"{path!r} holds a {type(loaded).__name__}, not a {cls.__name__}.",
                "Load it with that class, or a model of any class with sparkml_dist.load_model.",
            )
        return loaded


class _Writer(MLWriter):
    """Writes the files, then the manifest that vouches for them."""

    def __init__(self, instance: Persistable) -> None:
        super().__init__()
        self._instance = instance

    def save(self, path: str) -> None:
        """Write to `path`; what is there is replaced when the new is complete."""
        instance, top = self._instance, Folder.at(path)
        sign = self.optionMap.get("sign")
        key = None if sign is None else signing_key(str(sign))
        own = instance._home
        if own is not None and own.top.same_place(top):
            _check_still_there(own, instance)
            instance._settle(own, key)
            return
        if own is not None and top.contains(own.top):
            raise StorageError(
                "output_is_input",
                f"{top.location!r} holds the files of what is to be saved, in "
                f"{own.top.location!r}.",
                "Save it elsewhere.",
            )
        home = Home.to_save(top, instance._saved_kind(), overwrite=self.shouldOverwrite)
        _save_at(instance, home, key)


def _save_at(instance: Persistable, home: Home, key: bytes | None = None) -> None:
    try:
        files = instance._write_files(home.content)
        instance._commit(home, files, key)
    except BaseException:
        home.discard()
        raise


class _Reader(MLReader):
    """Loads what is of one class."""

    def __init__(self, kind: type[Persistable]) -> None:
        super().__init__()
        self._kind = kind

    def load(self, path: str) -> Any:
        """Load what was saved at `path`."""
        return self._kind.load(path)


def save_inside(instance: Persistable, folder: Folder, name: str) -> list[ModelFile]:
    """Save something in a folder inside that of another; return its files as the other's.

    Parameters
    ----------
    instance : Persistable
    folder : Folder
        Where the other's files lie.
    name : str
        Of the folder inside.
    """
    home = Home(folder.child(name))
    if instance._home is None or not instance._home.content.same_place(home.content):
        _save_at(instance, home)
    return [ModelFile.of(folder, f"{name}/{n}") for n in home.top.walk()]


def _check_still_there(home: Home, instance: Any) -> None:
    """Raise where something else has taken the place of what is to be saved over itself."""
    there = SavedManifest.read(home.top) if home.top.exists(MANIFEST) else None
    if there is not None and (there.root != home.root or there.uid != instance.uid):
        raise StorageError(
            "output_replaced",
            f"{home.top.location!r} has been replaced since this {type(instance).__name__} was "
            "loaded.",
            "Load it again, or save this one elsewhere.",
        )


def _write_spark_metadata(instance: Any, top: Folder) -> None:
    """Write what Spark's reader of a `Pipeline` looks for to find the class of a stage."""
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
