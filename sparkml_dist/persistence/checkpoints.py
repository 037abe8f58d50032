"""Storage of checkpoints: a folder for each, with arrays and a manifest.

The arrays are numpy's ``.npz``, written as a stream and hashed at the same time. The manifest is
JSON with a checksum. It is written last, by renaming: a folder without a manifest is not a
checkpoint.

A checkpoint is named by the launch that wrote it and by its step. A checkpoint of a later launch is
newer, so that files of ranks that wrongly count as dead are never resumed from.
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
    "It was truncated or altered: delete the checkpoint, or start the training again "
    "(overwrite=True)."
)

Arrays = Mapping[str, npt.NDArray[Any]]

# At most as many digits as a 63-bit number has.
_NAME = re.compile(r"launch-([0-9]{1,18})-step-([0-9]{1,18})")


@dataclass(frozen=True, order=True)
class CheckpointId:
    """The launch that wrote a checkpoint, and the number of steps of the whole training."""

    launch: int
    step: int

    def __str__(self) -> str:
        return f"launch-{self.launch:03d}-step-{self.step:09d}"

    @classmethod
    def parse(cls, name: str) -> CheckpointId | None:
        """Return the id in a folder's name; None for other folders."""
        found = _NAME.fullmatch(name)
        return cls(int(found[1]), int(found[2])) if found else None


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint with a valid manifest.

    Attributes
    ----------
    id : CheckpointId
    folder : Folder
        Folder of its files.
    content : dict
        Its writer's metadata; JSON values.
    files : dict
        Size in bytes and SHA-256 checksum of every file.
    """

    id: CheckpointId
    folder: Folder
    content: dict[str, Any]
    files: dict[str, dict[str, Any]]

    def verify(self, name: str) -> None:
        """Raise unless a file matches the manifest.

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
            raise self._damaged(f"the SHA-256 checksum of {name} differs")

    def arrays(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of a file.

        Raises
        ------
        StorageError
            ``checkpoint_damaged``.
        """
        try:
            with self.folder.open_input(name) as stream:
                check_npz(stream, self.folder.size(name))
                stream.seek(0)
                with np.load(stream, allow_pickle=False) as arrays:
                    return {key: arrays[key] for key in arrays.files}
        except (OSError, ValueError, EOFError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise self._damaged(f"{name} cannot be read ({error})") from error

    @contextmanager
    def restoring(self) -> Iterator[None]:
        """Report missing or unexpected arrays as damage.

        Raises
        ------
        StorageError
            ``checkpoint_damaged``.
        """
        try:
            yield
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise self._damaged(f"its arrays do not match the model ({error})") from error

    def _damaged(self, what: str) -> StorageError:
        return StorageError(
            "checkpoint_damaged",
            f"The checkpoint {self.folder.location!r} is damaged: {what}.",
            "It was truncated or altered; the previous one is used if there is one.",
        )


class CheckpointStore:
    """The checkpoints of one training.

    Parameters
    ----------
    folder : Folder
        Folder of the checkpoints; may be missing.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def ids(self) -> list[CheckpointId]:
        """Return the ids of checkpoints with a manifest, the newest first."""
        heads = [n.removesuffix(f"/{MANIFEST}") for n in self._manifests()]
        return sorted((i for i in map(CheckpointId.parse, heads) if i), reverse=True)

    def write(
        self,
        checkpoint: CheckpointId,
        files: Mapping[str, Arrays],
        content: dict[str, Any],
        parts: Mapping[str, dict[str, Any]] | None = None,
    ) -> Checkpoint:
        """Write a checkpoint; it exists only when this returns.

        Parameters
        ----------
        checkpoint : CheckpointId
        files : mapping of str to mapping of str to ndarray
            File names to their arrays by key.
        content : dict
            JSON values.
        parts : mapping of str to dict, optional
            Values of `write_part` for files that other ranks have written.
        """
        folder = self.folder.child(str(checkpoint))
        written = {name: _write_arrays(folder, name, arrays) for name, arrays in files.items()}
        written.update(parts or {})
        value = {"format": FORMAT, "protocol": PROTOCOL, "content": content, "files": written}
        folder.write_json(MANIFEST, with_checksum(value))
        return Checkpoint(checkpoint, folder, content, written)

    def write_part(self, checkpoint: CheckpointId, name: str, arrays: Arrays) -> dict[str, Any]:
        """Write a file of a future checkpoint; return its size and SHA-256 checksum."""
        return _write_arrays(self.folder.child(str(checkpoint)), name, arrays)

    def read(self, checkpoint: CheckpointId) -> Checkpoint:
        """Return a checkpoint, without reading its files.

        Raises
        ------
        StorageError
            Its manifest is damaged, or of a newer version.
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
        """Return the number of the last launch that wrote here; 0 for none."""
        heads = {name.partition("/")[0] for name in self.folder.walk()}
        return max((i.launch for i in map(CheckpointId.parse, heads) if i), default=0)

    def prune(self, keep: int) -> None:
        """Delete all but the newest `keep` checkpoints, and unfinished ones older than these."""
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
        """Delete all checkpoints."""
        self.folder.delete()

    def _manifests(self) -> list[str]:
        return [n for n in self.folder.walk() if n.endswith(f"/{MANIFEST}") and n.count("/") == 1]


def _write_arrays(folder: Folder, name: str, arrays: Arrays) -> dict[str, Any]:
    with folder.committing(name) as stream:
        sink = _Hashing(stream)
        np.savez(sink, **arrays)  # type: ignore[arg-type]
        return {"bytes": sink.bytes, "sha256": sink.digest.hexdigest()}


class _Hashing:
    """A stream without seek, so that the bytes can be hashed in the order of the file."""

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
        # numpy accepts objects with a read method as files.
        raise OSError("This stream is write-only.")
