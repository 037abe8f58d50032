"""Checkpoints at rest: a folder each, of arrays and the manifest that makes it one.

The arrays are numpy's ``.npz``, written as a stream and hashed on the way; the manifest is sealed
JSON and comes last, by renaming: a folder without one is no checkpoint, whatever is in it.

A checkpoint is named by the launch that wrote it and by its step. Of two checkpoints that of the
later launch is the newer one, so that nothing written by ranks which are thought dead, but are not,
is ever taken up.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.checksums import check_document, reading_fields, with_checksum
from sparkml_dist.persistence.declared_sizes import check_npz
from sparkml_dist.persistence.fields import checksum, mapping, natural
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.names import check_names

__all__ = ["Checkpoint", "CheckpointId", "CheckpointStore"]

MANIFEST = "manifest.json"
FORMAT = "sparkml_dist.checkpoint"
PROTOCOL = 1
REMEDY = (
    "It was cut or altered: delete the checkpoint, or begin the training again (overwrite=True)."
)

Arrays = Mapping[str, npt.NDArray[Any]]

# Not more digits than a number of 63 bits has.
_NAME = re.compile(r"launch-([0-9]{1,18})-step-([0-9]{1,18})")


@dataclass(frozen=True, order=True)
class CheckpointId:
    """Which launch wrote a checkpoint, and after how many steps of the whole training."""

    launch: int
    step: int

    def __str__(self) -> str:
        return f"launch-{self.launch:03d}-step-{self.step:09d}"

    @classmethod
    def parse(cls, name: str) -> CheckpointId | None:
        """Return the id behind a folder's name; None for another folder."""
        found = _NAME.fullmatch(name)
        return cls(int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose manifest has been read and is whole.

    Attributes
    ----------
    id : CheckpointId
    folder : Folder
        Where its files are.
    content : dict
        What its writer said about it; JSON values.
    files : dict
        For every file its size in bytes and its SHA-256.
    """

    id: CheckpointId
    folder: Folder
    content: dict[str, Any]
    files: dict[str, dict[str, Any]]

    def verify(self, name: str) -> None:
        """Raise unless a file is as it was written.

        Raises
        ------
        StorageError
            ``checkpoint_damaged``.
        """
        if name not in self.files:
            raise self._damaged(f"it has no {name}")
        wanted = self.files[name]
        if self.folder.size(name) != wanted.get("bytes"):
            raise self._damaged(f"{name} has {max(0, self.folder.size(name)):,} bytes")
        if self.folder.sha256(name) != wanted.get("sha256"):
            raise self._damaged(f"the SHA-256 of {name} is another one")

    def arrays(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of a file.

        Raises
        ------
        StorageError
            ``checkpoint_damaged``.
        """
        try:
            with (
                self.folder.filesystem.open_input_file(self.folder.path(name)) as stream,
            ):
                check_npz(stream, self.folder.size(name))
                stream.seek(0)
                with np.load(stream, allow_pickle=False) as arrays:
                    return {key: arrays[key] for key in arrays.files}
        except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise self._damaged(f"{name} cannot be read ({error})") from error

    @contextmanager
    def taking_up(self) -> Iterator[None]:
        """Report what the arrays lack, or have in another form, as damage.

        Raises
        ------
        StorageError
            ``checkpoint_damaged``.
        """
        try:
            yield
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise self._damaged(f"its arrays are not those of the model ({error})") from error

    def _damaged(self, what: str) -> StorageError:
        return StorageError(
            "checkpoint_damaged",
            f"The checkpoint {self.folder.location!r} is damaged: {what}.",
            "It was cut or altered; the one before it is used where there is one.",
        )


class CheckpointStore:
    """The checkpoints of one training.

    Parameters
    ----------
    folder : Folder
        Where they are; need not exist.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def ids(self) -> list[CheckpointId]:
        """Return the checkpoints that have a manifest, the newest first."""
        heads = [n.removesuffix(f"/{MANIFEST}") for n in self._manifests()]
        return sorted((i for i in map(CheckpointId.parse, heads) if i), reverse=True)

    def write(
        self,
        checkpoint: CheckpointId,
        files: Mapping[str, Arrays],
        content: dict[str, Any],
        parts: Mapping[str, dict[str, Any]] | None = None,
    ) -> Checkpoint:
        """Write a checkpoint; it exists when this returns, and not before.

        Parameters
        ----------
        checkpoint : CheckpointId
        files : mapping of str to mapping of str to ndarray
            Arrays of numbers by key, by the name of their file.
        content : dict
            JSON values.
        parts : mapping of str to dict, optional
            What `write_part` returned for files that others have written.
        """
        folder = self.folder.child(str(checkpoint))
        written = {name: _write_arrays(folder, name, arrays) for name, arrays in files.items()}
        written.update(parts or {})
        value = {"format": FORMAT, "protocol": PROTOCOL, "content": content, "files": written}
        folder.write_json(MANIFEST, with_checksum(value))
        return Checkpoint(checkpoint, folder, content, written)

    def write_part(self, checkpoint: CheckpointId, name: str, arrays: Arrays) -> dict[str, Any]:
        """Write a file of a checkpoint that is not there yet; returns its size and SHA-256."""
        return _write_arrays(self.folder.child(str(checkpoint)), name, arrays)

    def read(self, checkpoint: CheckpointId) -> Checkpoint:
        """Return a checkpoint; its files are not looked at.

        Raises
        ------
        StorageError
            When its manifest is damaged, or of a newer version.
        """
        folder = self.folder.child(str(checkpoint))
        where = folder.uri(MANIFEST)
        value = folder.read_json(MANIFEST)
        check_document(value, FORMAT, PROTOCOL, where)
        with reading_fields(where, REMEDY):
            content, files = mapping(value["content"], "content"), mapping(value["files"], "files")
            for name, file in files.items():
                natural(mapping(file, name)["bytes"], "bytes")
                checksum(file["sha256"], "sha256")
        check_names(files, folder)
        return Checkpoint(checkpoint, folder, content, files)

    def last_launch(self) -> int:
        """Return the number of the last launch that left anything here; 0 for none."""
        heads = {name.partition("/")[0] for name in self.folder.walk()}
        return max((i.launch for i in map(CheckpointId.parse, heads) if i), default=0)

    def prune(self, keep: int) -> None:
        """Delete all but the newest `keep` checkpoints, and what was begun before the newest."""
        kept = self.ids()[:keep]
        heads = {name.partition("/")[0] for name in self.folder.walk()}
        for head in sorted(heads):
            found = CheckpointId.parse(head)
            if found is None or found in kept or (kept and found > kept[0]):
                continue
            self.folder.child(head).delete()
        if not kept:
            self.folder.delete()

    def clear(self) -> None:
        """Delete all of them."""
        self.folder.delete()

    def _manifests(self) -> list[str]:
        return [n for n in self.folder.walk() if n.endswith(f"/{MANIFEST}") and n.count("/") == 1]


def _write_arrays(folder: Folder, name: str, arrays: Arrays) -> dict[str, Any]:
    with folder.committing(name) as stream:
        sink = _Hashing(stream)
        np.savez(sink, **arrays)  # type: ignore[arg-type]
        return {"bytes": sink.bytes, "sha256": sink.digest.hexdigest()}


class _Hashing:
    """A stream that cannot seek, so that what passes is hashed as it will lie on the disk."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()
        self.bytes = 0

    def write(self, data: Any) -> int:
        self._stream.write(data)
        self.digest.update(data)
        self.bytes += memoryview(data).nbytes
        return memoryview(data).nbytes

    def flush(self) -> None:
        self._stream.flush()

    def read(self, size: int = -1) -> bytes:
        # numpy takes an object that can be read from for a file.
        raise OSError("This stream is written to only.")
