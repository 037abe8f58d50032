"""A file of an object store that is read again where a read fails."""

from __future__ import annotations

import io
import time

from pyarrow import fs as pafs

__all__ = ["PatientFile"]

# The store's client tries an answer with an error again by itself, but not one that is longer than
# the bytes that were asked for.
_PAUSES = (0.2, 1.0, 3.0, 6.0)
_MOST_SECONDS = 60.0


class PatientFile(io.RawIOBase):
    """A file for random access; a read that fails is tried up to five times within a minute.

    Parameters
    ----------
    filesystem : pyarrow.fs.FileSystem
    path : str
        In the file system.

    Raises
    ------
    OSError
        Those of pyarrow; ``FileNotFoundError``.
    """

    def __init__(self, filesystem: pafs.FileSystem, path: str) -> None:
        self._file = filesystem.open_input_file(path)
        self._size, self._at = self._file.size(), 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Set the position; see `io.IOBase.seek`."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes, at most `size`; all that are left where it is negative."""
        left = max(0, self._size - self._at)
        number = left if size is None or size < 0 else min(size, left)
        found = self._read(number) if number else b""
        self._at += len(found)
        return found

    def _read(self, number: int) -> bytes:
        begun = time.monotonic()
        for pause in _PAUSES:
            try:
                return bytes(self._file.read_at(number, self._at))
            except FileNotFoundError:
                raise
            except OSError:
                if time.monotonic() - begun > _MOST_SECONDS:
                    raise
            time.sleep(pause)
        return bytes(self._file.read_at(number, self._at))

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._file.close()
        super().close()
