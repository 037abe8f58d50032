"""Files at any URI that pyarrow's filesystems open, with atomic commits.

A *location* is a plain local path or a URI (``file:///…``, ``s3://…``, ``gs://…``,
``hdfs://…``). Nothing here needs a JVM, so that Python tasks of executors, ranks of a gang and the
driver read and write alike.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import posixpath
import re
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import fs as pafs

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.locations import (
    canonical,
    enclosing,
    is_uri,
    joined,
    local_path,
    parent_and_name,
    renames_folders,
    same_location,
    without_query,
)
from sparkml_dist.persistence.own_writes import OWN_WRITES
from sparkml_dist.persistence.patient_file import PatientFile
from sparkml_dist.persistence.stores import open_store

__all__ = ["LOCK_PREFIX", "Folder", "is_unfinished", "is_uri", "local_path"]

_CHUNK = 1 << 20
#: Files of a remote store that are read at the same time.
_REQUESTS = 16
_Read = TypeVar("_Read")
# Prefix of the files of `FolderLock`; Spark and pyarrow skip such files.
LOCK_PREFIX = ".lock-"
_UNFINISHED = re.compile(r"^\..+\.[0-9a-f]{32}\.tmp$")
# What pyarrow raises when a store fails; paths may hold characters that no file system accepts (a
# null, half a surrogate pair).
_FAILURES = (OSError, pa.ArrowException, UnicodeError)
_SPACE = "Free some space there, or write elsewhere."
_RIGHTS = "Let the user that the driver and the workers run as write there, or write elsewhere."
_DISK = "Check the path, its permissions and the free space, on the driver and on the workers."
_STORE = (
    "Check the URI, the credentials and that the store answers, on the driver and on the workers; "
    "then run again. What was committed stays, and a run that can resume does only the rest."
)
_REASONS = {
    errno.ENOSPC: ("disk_full", _SPACE),
    errno.EDQUOT: ("disk_full", _SPACE),
    errno.EFBIG: ("disk_full", "The file is larger than the disk or the user's limit allows."),
    errno.EROFS: ("read_only", "The disk is mounted read-only; write elsewhere."),
    errno.EACCES: ("no_permission", _RIGHTS),
    errno.EPERM: ("no_permission", _RIGHTS),
    errno.ENOTDIR: ("not_a_folder", "A part of the path is a file; choose another one."),
    errno.EEXIST: ("not_a_folder", "There is a file in place of a folder; choose another path."),
    errno.EISDIR: ("not_a_file", "There is a folder in place of the file; choose another path."),
    errno.ENAMETOOLONG: ("name_too_long", "Choose a shorter path."),
}


def is_unfinished(name: str) -> bool:
    """Tell whether `name` is a temporary file of `Folder.committing`, complete or not."""
    return bool(_UNFINISHED.match(name.rpartition("/")[2]))


@dataclass(frozen=True)
class Folder:
    """A folder at a local path or URI; picklable, opened on first use.

    Parameters
    ----------
    location : str
        Local path or URI of the folder. It need not exist yet.

    Raises
    ------
    StorageError
        From every method, when the location cannot be opened, read or written.
    """

    location: str

    @classmethod
    def at(cls, location: str | os.PathLike[str]) -> Folder:
        """Return the folder at `location`; local paths become absolute.

        Raises
        ------
        StorageError
            ``empty_path``, ``scheme_not_known`` for an invalid URI, or ``no_current_folder`` for
            a relative path when the current folder was deleted.
        """
        try:
            return cls(canonical(os.fspath(location)))
        except FileNotFoundError as error:
            raise StorageError(
                "no_current_folder",
                f"{os.fspath(location)!r} is relative to the current folder, which was deleted.",
                "Give an absolute path, or change to a folder that exists.",
            ) from error

    def same_place(self, other: Folder) -> bool:
        """Tell whether both are the same folder, however their locations are written.

        Links are followed on a local disk; neither folder needs to exist.
        """
        return same_location(self.location, other.location)

    def contains(self, other: Folder) -> bool:
        """Tell whether `other` is inside this folder, at any depth; False if both are the same."""
        return not self.same_place(other) and any(
            same_location(self.location, outer) for outer in enclosing(other.location)
        )

    @cached_property
    def _root(self) -> tuple[pafs.FileSystem, str]:
        try:
            if is_uri(self.location):
                filesystem, path = open_store(self.location)
                return filesystem, path.rstrip("/")
            return pafs.LocalFileSystem(), self.location
        except (*_FAILURES, ImportError) as error:
            raise StorageError(
                "location_not_opened",
                f"Cannot open {self.location!r}: {error}.",
                "Use a local path or a URI that pyarrow.fs.FileSystem.from_uri opens.",
            ) from error

    @property
    def filesystem(self) -> pafs.FileSystem:
        """The folder's pyarrow filesystem."""
        return self._root[0]

    @property
    def is_object_store(self) -> bool:
        """Whether it is only a prefix of names: a file appears whole there, and none is renamed."""
        return not renames_folders(self.location)

    def __getstate__(self) -> dict[str, Any]:
        return {"location": self.location}

    def __setstate__(self, state: dict[str, Any]) -> None:
        object.__setattr__(self, "location", state["location"])

    def child(self, name: str) -> Folder:
        """Return the folder `name` inside this one."""
        return Folder(joined(self.location, name))

    @property
    def name(self) -> str:
        """The folder's own name, the last part of its path."""
        return parent_and_name(self.location)[1]

    def parent(self) -> Folder:
        """Return the folder that this one is in."""
        return Folder(parent_and_name(self.location)[0] or "/")

    def path(self, name: str = "") -> str:
        """Return the path of `name` within `filesystem`."""
        return posixpath.join(self._root[1], name) if name else self._root[1]

    def uri(self, name: str = "") -> str:
        """Return the location of `name`, for messages and for Spark."""
        return joined(self.location, name) if name else self.location

    def spark_path(self, name: str = "") -> str:
        """Return the location of a file or the folder for Spark's readers and writers."""
        location = self.uri(name) if name else self.location
        path = local_path(location)
        return without_query(location) if path is None else f"file://{path}"

    def exists(self, name: str = "") -> bool:
        """Tell whether `name` (or the folder itself) exists."""
        if self.info(name).type != pafs.FileType.NotFound:
            return True
        return self.is_object_store and bool(self._unlisted(self.path(name).rstrip("/") + "/", {}))

    def size(self, name: str) -> int:
        """Return the size of the file `name` in bytes; -1 when there is no such file."""
        info = self.info(name)
        return int(info.size) if info.type == pafs.FileType.File else -1

    def sizes(self, names: Sequence[str]) -> list[int]:
        """Return the sizes of several files, as `size` does, in one request to the store."""
        with self._doing("inspect"):
            infos = self.filesystem.get_file_info([self.path(name) for name in names])
        return [int(i.size) if i.type == pafs.FileType.File else -1 for i in infos]

    def info(self, name: str) -> pafs.FileInfo:
        """Return the type, size and modification time of `name`."""
        with self._doing("inspect", name):
            return self.filesystem.get_file_info(self.path(name))

    def create(self) -> None:
        """Create the folder and its parents; no error when it exists."""
        with self._doing("create"):
            self.filesystem.create_dir(self.path(), recursive=True)

    def names(self, suffix: str = "") -> list[str]:
        """Return the sorted names of the files directly inside; empty for a missing folder."""
        return sorted(i.base_name for i in self.files() if i.base_name.endswith(suffix))

    def walk(self) -> list[str]:
        """Return the sorted relative names of all files below the folder."""
        root = self.path().rstrip("/") + "/"
        return sorted(i.path.removeprefix(root) for i in self.files(recursive=True))

    def files(self, *, recursive: bool = False) -> list[pafs.FileInfo]:
        """Return the file information of the files directly inside, or of all below."""
        with self._doing("list"):
            selector = pafs.FileSelector(self.path(), allow_not_found=True, recursive=recursive)
            try:
                infos = self.filesystem.get_file_info(selector)
            except FileNotFoundError:
                # pyarrow checks that the folder exists only after listing it, and fails when
                # another task creates the folder in between.
                infos = self.filesystem.get_file_info(selector)
            files = [i for i in infos if i.type == pafs.FileType.File]
            return self._as_written(files, recursive=recursive) if self.is_object_store else files

    def _as_written(self, listed: list[pafs.FileInfo], *, recursive: bool) -> list[pafs.FileInfo]:
        """Return listed files as this process has left them: a listing may lag behind."""
        prefix = self.path().rstrip("/") + "/"
        found = {i.path: i for i in listed}
        missing = self._unlisted(prefix, found)
        found |= {i.path: i for i in missing if recursive or "/" not in i.path[len(prefix) :]}
        gone = [p for p in OWN_WRITES.below(prefix, written=False) if p in found]
        for info in self.filesystem.get_file_info(gone) if gone else ():
            if info.type != pafs.FileType.File:
                del found[info.path]
        return list(found.values())

    def _unlisted(self, prefix: str, listed: Mapping[str, Any]) -> list[pafs.FileInfo]:
        """Return the files below a prefix that this process has written, but that are not listed.

        A request for the object itself tells whether it is still there.
        """
        names = [p for p in OWN_WRITES.below(prefix, written=True) if p not in listed]
        if not names:
            return []
        with self._doing("inspect"):
            infos = self.filesystem.get_file_info(names)
        return [i for i in infos if i.type == pafs.FileType.File]

    def is_empty(self) -> bool:
        """Tell whether the folder is missing or has no files besides locks and temporary ones."""
        return all(is_unfinished(n) or n.startswith(LOCK_PREFIX) for n in self.walk())

    def read_bytes(self, name: str) -> bytes:
        """Return the whole content of the file `name`."""
        with self._reading(name) as stream:
            return bytes(stream.read())

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write `name` atomically: readers see the old file, the new one, or none."""
        with self.committing(name) as stream:
            stream.write(content)

    def read_each(self, names: Iterable[str]) -> Iterator[bytes]:
        """Yield the contents of many files, in order; of a remote store several at a time."""
        return self._of_each(self.read_bytes, names)

    def _of_each(self, read: Callable[[str], _Read], names: Iterable[str]) -> Iterator[_Read]:
        if isinstance(self.filesystem, pafs.LocalFileSystem):
            yield from map(read, names)
            return
        # Each request to a store takes tens of milliseconds, nearly all of it waiting.
        pool = ThreadPoolExecutor(_REQUESTS)
        try:
            yield from pool.map(read, names)
        finally:
            pool.shutdown(cancel_futures=True)  # whoever stops early does not wait for the others

    def read_json(self, name: str) -> Any:
        """Return the parsed JSON file `name`."""
        return self.parsed(name, self.read_bytes(name))

    def read_object(self, name: str) -> dict[str, Any]:
        """Return the JSON object in the file `name`; empty where there is none.

        What the store does not give for now is not taken for something else: that raises.
        """
        try:
            value = self.read_json(name)
        except StorageError as error:
            if error.code not in (
                "altered_manifest",
                "file_not_found",
                "not_a_file",
                "not_a_folder",
            ):
                raise
            return {}
        return value if isinstance(value, dict) else {}

    def parsed(self, name: str, content: bytes) -> Any:
        """Return the parsed content of the JSON file `name`."""
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise StorageError(
                "altered_manifest",
                f"{self.uri(name)!r} is not valid JSON ({error}).",
                "The file was truncated or altered; restore it or write it again.",
            ) from error

    def write_json(self, name: str, value: Any, *, depth: int | None = None) -> None:
        """Write `value` as indented JSON to `name`, atomically.

        Parameters
        ----------
        name : str
        value : any
            JSON value.
        depth : int, optional
            Levels that are indented; what is below has one line for each value. Python encodes
            indented lines itself, ten times as slowly as lines: a manifest names many files.
        """
        text = json.dumps(value, indent=1) if depth is None else _lines(value, depth, "\n")
        self.write_bytes(name, (text + "\n").encode())

    def committing(self, name: str) -> _Committing | _Sending:
        """Return a context manager for writing `name` so that it appears only when it is complete.

        On a file system it is written under a temporary name, which is changed when the block ends
        without an error. On an object store, where nothing can be renamed, it is written to a
        temporary file of this machine and sent when the block has ended: a store shows an object
        only when all of it has arrived.
        """
        return _Sending(self, name) if self.is_object_store else _Committing(self, name)

    def move(self, source: str, target: str, folder: Folder | None = None) -> None:
        """Rename the file `source` to `target`, replacing it.

        Parameters
        ----------
        source, target : str
            Names of files; empty for both folders themselves.
        folder : Folder, optional
            Folder of `target`, on the same file system; this folder by default.
        """
        home = self if folder is None else folder
        with home._doing("commit", target):
            self.filesystem.move(self.path(source), home.path(target))
        if self.is_object_store:
            OWN_WRITES.note(self.path(source), written=False)
            OWN_WRITES.note(home.path(target), written=True)

    def delete(self) -> None:
        """Delete the folder and all below it; no error when it is missing."""
        with self._doing("delete"):
            if self.exists():
                # A store fails where its listing, which lags behind, shows nothing there.
                with suppress(FileNotFoundError):
                    self.filesystem.delete_dir(self.path())
            if self.is_object_store:  # which deletes only what is listed
                prefix = self.path().rstrip("/") + "/"
                for info in self._unlisted(prefix, {}):
                    self.filesystem.delete_file(info.path)
                for path in OWN_WRITES.below(prefix, written=True):
                    OWN_WRITES.note(path, written=False)

    def delete_file(self, name: str) -> None:
        """Delete the file `name`; no error when it is missing."""
        with self._doing("delete", name), suppress(FileNotFoundError):
            if self.exists(name):
                self.filesystem.delete_file(self.path(name))
                if self.is_object_store:
                    OWN_WRITES.note(self.path(name), written=False)

    def copy_file_to(self, name: str, target: Folder, target_name: str | None = None) -> None:
        """Copy the file `name` into `target` in chunks, atomically."""
        with target.committing(target_name or name) as sink, self._reading(name) as source:
            while chunk := source.read(_CHUNK):
                with target._doing("write", target_name or name):
                    sink.write(chunk)

    def sha256(self, name: str) -> str:
        """Return the SHA-256 checksum of the file `name`, read in chunks, in hexadecimal digits."""
        digest = hashlib.sha256()
        with self._reading(name) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()

    def checksums(self, sizes: Mapping[str, int]) -> Iterator[tuple[str, int, str]]:
        """Compute the checksums of many files, in order.

        Parameters
        ----------
        sizes : mapping of str to int
            Name and expected size in bytes of each file.

        Yields
        ------
        name : str
        size : int
            Actual size; -1 where there is no such file.
        sha256 : str
            Empty where the size differs: such a file is not read.
        """
        if not isinstance(self.filesystem, pafs.LocalFileSystem):
            found = dict(zip(sizes, self.sizes([*sizes]), strict=True))
            right = (name for name, size in found.items() if size == sizes[name])
            digests = self._of_each(self.sha256, right)
            for name, size in found.items():
                yield name, size, next(digests) if size == sizes[name] else ""
            return
        root = self.path().rstrip("/")
        for name, expected in sizes.items():
            try:
                yield name, *_local_checksum(f"{root}/{name}", expected)
            except (OSError, ValueError) as error:  # ValueError: a name that no disk accepts
                raise self.failed("read", name, error) from error

    @contextmanager
    def opened(self, name: str) -> Iterator[pa.NativeFile]:
        """Open the file `name` for random access; yield pyarrow's file."""
        with self._doing("read", name), self.open_input(name) as stream:
            yield stream

    def open_input(self, name: str = "") -> pa.NativeFile:
        """Return the file `name`, or that of this location, for random access.

        On object stores, reads that fail are tried again.

        Raises
        ------
        OSError
            Those of pyarrow, unlike those of the other methods.
        """
        path = self.path(name)
        if self.is_object_store:
            return pa.PythonFile(PatientFile(self.filesystem, path), mode="r")
        return self.filesystem.open_input_file(path)

    @contextmanager
    def _reading(self, name: str) -> Iterator[pa.NativeFile]:
        with self._doing("read", name):
            try:
                stream = (
                    self.open_input(name)
                    if self.is_object_store
                    else self.filesystem.open_input_stream(self.path(name), compression=None)
                )
            except FileNotFoundError as error:
                raise self._missing(name) from error
            with stream:
                yield stream

    def _missing(self, name: str) -> StorageError:
        return StorageError(
            "file_not_found",
            f"There is no file {self.uri(name)!r}.",
            "Check the path, and that all workers share this file system.",
        )

    @contextmanager
    def _doing(self, verb: str, name: str = "") -> Iterator[None]:
        try:
            yield
        except _FAILURES as error:
            raise self.failed(verb, name, error) from error

    def failed(self, verb: str, name: str, error: Exception) -> StorageError:
        """Return the error for a failure of the store.

        Parameters
        ----------
        verb : str
            The operation that failed, for example ``"write"``.
        name : str
            Name of the file; empty for the folder itself.
        error : Exception
            The exception of the store.
        """
        code, hint = _REASONS.get(
            getattr(error, "errno", None) or 0,
            ("storage_failed", _STORE if is_uri(self.location) else _DISK),
        )
        reason = " ".join(str(error).split()).rstrip(".")
        return StorageError(code, f"Cannot {verb} {self.uri(name)!r}: {reason}.", hint)


def _lines(value: Any, depth: int, line: str) -> str:
    """Return JSON whose first levels are indented by a blank each, the others in one line."""
    if depth == 0 or not isinstance(value, dict | list) or not value:
        return json.dumps(value)
    inner, ends = line + " ", "{}" if isinstance(value, dict) else "[]"
    if isinstance(value, dict):
        parts = [f"{json.dumps(k)}: {_lines(v, depth - 1, inner)}" for k, v in value.items()]
    else:
        parts = [_lines(v, depth - 1, inner) for v in value]
    return ends[0] + inner + f",{inner}".join(parts) + line + ends[1]


def _local_checksum(path: str, expected: int) -> tuple[int, str]:
    """Return size and SHA-256 checksum of a local file; see `Folder.checksums`.

    A model may have hundreds of small files; each is opened, measured and read with one system
    call. Pipes and devices are not read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return -1, ""
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return -1, ""
        if found.st_size != expected:
            return found.st_size, ""
        digest = hashlib.sha256()
        left = expected
        while left > 0 and (chunk := os.read(descriptor, min(_CHUNK, left))):
            digest.update(chunk)
            left -= len(chunk)
    finally:
        os.close(descriptor)
    return expected, digest.hexdigest()


class _Committing:
    """Writes a file under a temporary name; renames it if the block raises no error."""

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder = folder
        self._name = name
        head, tail = posixpath.split(name)
        self._temporary = posixpath.join(head, f".{tail}.{uuid.uuid4().hex}.tmp")

    def __enter__(self) -> pa.NativeFile:
        folder = self._folder
        with folder._doing("write", self._name):
            path = folder.path(self._temporary)
            folder.filesystem.create_dir(posixpath.dirname(path), recursive=True)
            self._stream = folder.filesystem.open_output_stream(path, compression=None)
        return self._stream

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, *_: object
    ) -> None:
        done = False
        try:
            with self._folder._doing("write", self._name):
                if isinstance(value, OSError):  # most likely from writing to the stream
                    raise value
                self._stream.close()
                if kind is None:
                    self._folder.move(self._temporary, self._name)
                    done = True
        finally:
            if not done:
                self._abandon()

    def _abandon(self) -> None:
        # The first error is raised already; a failing clean-up adds nothing.
        with suppress(*_FAILURES):
            self._stream.close()
        with suppress(StorageError):
            self._folder.delete_file(self._temporary)


class _Sending:
    """Writes a file of this machine; sends it to an object store if the block raises no error.

    A stream to the store must not be open in the block: closing it, even after an error, would make
    an object of what has been written so far.
    """

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder = folder
        self._name = name

    def __enter__(self) -> pa.NativeFile:
        with self._in_temporary_file():
            handle, self._path = tempfile.mkstemp(prefix="sparkml_dist-")
            os.close(handle)
            self._stream = pa.OSFile(self._path, "wb")
        return self._stream

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, *_: object
    ) -> None:
        try:
            with self._in_temporary_file():
                self._stream.close()
                if isinstance(value, OSError):  # most likely from writing to the stream
                    raise value
            if kind is None:
                self._send()
        finally:
            with suppress(OSError):
                os.unlink(self._path)

    def _send(self) -> None:
        folder, path = self._folder, self._folder.path(self._name)
        with folder._doing("write", self._name), pa.OSFile(self._path, "rb") as source:
            with folder.filesystem.open_output_stream(path, compression=None) as sink:
                while chunk := source.read(_CHUNK):
                    sink.write(chunk)
            OWN_WRITES.note(path, written=True)

    @contextmanager
    def _in_temporary_file(self) -> Iterator[None]:
        try:
            yield
        except _FAILURES as error:
            where = f"gather in {tempfile.gettempdir()!r} what is to be"
            raise self._folder.failed(where, self._name, error) from error
