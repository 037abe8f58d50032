"""Checks the sizes that files declare before memory is allocated for them.

An array's header declares the size of the array, and an archive's directory the uncompressed sizes
of its members. Readers trust both: a file of a megabyte can request terabytes. Here these
declarations are compared with the actual bytes.

- An array's values must fill its file or member exactly; it holds no Python objects.
- Members of an archive are stored uncompressed or, where compression is allowed, expand together to
  at most `ROOM` plus `RATIO` times the size of the archive.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Sequence
from functools import lru_cache
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

__all__ = ["RATIO", "ROOM", "check_archive", "check_npy", "check_npz"]

RATIO = 32
ROOM = 64 << 20

# numpy itself reads headers of up to 10,000 bytes, after eight to twelve bytes of magic and length.
_HEAD = 10_012
_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def check_npy(head: bytes, size: int) -> tuple[tuple[int, ...], np.dtype]:
    """Return an array's shape and type; raise unless it has the size that it declares.

    Parameters
    ----------
    head : bytes
        The beginning of the file, or the whole file.
    size : int
        Size of the whole file in bytes.

    Returns
    -------
    shape : tuple of int
    dtype : dtype

    Raises
    ------
    ValueError
        Header and size do not match, or the array holds objects.
    """
    if head[:6] != b"\x93NUMPY" or len(head) < 12:
        raise ValueError("it is not an array in numpy's format")
    length = int.from_bytes(head[8:10] if head[6] == 1 else head[8:12], "little")
    begin = (10 if head[6] == 1 else 12) + length
    if begin > min(len(head), _HEAD):
        raise ValueError(f"its header declares {length:,} bytes")
    shape, dtype, values = _form(bytes(head[:begin]))
    declared = begin + values
    if declared != size:
        raise ValueError(f"it declares {declared:,} bytes and has {size:,}")
    return shape, dtype


@lru_cache(maxsize=4096)
def _form(header: bytes) -> tuple[tuple[int, ...], np.dtype, int]:
    """Return the shape and type that a header declares, and the bytes of the values."""
    stream = io.BytesIO(header)
    version = npy.read_magic(stream)
    if version not in _READERS:
        raise ValueError(f"its format version {version} is not known")
    shape, _, dtype = _READERS[version](stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    if any(n < 0 for n in shape):
        raise ValueError(f"it has the shape {shape}")
    count = math.prod(shape)
    if not dtype.itemsize and count:
        raise ValueError(f"it has {count:,} values of zero bytes")
    return tuple(shape), dtype, count * dtype.itemsize


def check_archive(
    archive: zipfile.ZipFile, size: int, *, compressed: bool = False
) -> list[zipfile.ZipInfo]:
    """Return the members of a ZIP archive; raise unless their sizes are allowed.

    Parameters
    ----------
    archive : ZipFile
    size : int
        Size of the archive itself in bytes.
    compressed : bool, default=False
        Whether members may be deflated.

    Raises
    ------
    ValueError
        A name occurs twice, a member is encrypted or compressed in a way that is not allowed, or
        the members together declare too many bytes.
    """
    members = archive.infolist()
    if len({m.filename for m in members}) != len(members):
        raise ValueError("a member occurs twice")
    for member in members:
        if member.flag_bits & 0x1:
            raise ValueError(f"{member.filename!r} is encrypted")
        if member.compress_type == zipfile.ZIP_STORED:
            if member.file_size != member.compress_size:
                raise ValueError(f"{member.filename!r} declares two different sizes")
        elif not compressed or member.compress_type != zipfile.ZIP_DEFLATED:
            raise ValueError(f"{member.filename!r} is compressed")
    declared = sum(m.file_size for m in members)
    most = ROOM + RATIO * size if compressed else size
    if declared > most:
        raise ValueError(
            f"its members declare {declared:,} bytes; an archive of {size:,} may have {most:,}"
        )
    return members


def check_npz(
    stream: IO[bytes], size: int, names: Sequence[str] | None = None, *, compressed: bool = False
) -> None:
    """Raise unless the arrays of an ``.npz`` archive have the sizes that they declare.

    Parameters
    ----------
    stream : file object
        Its position changes.
    size : int
        Size of the archive in bytes.
    names : sequence of str, optional
        Allowed names of arrays, without ``.npy``.
    compressed : bool, default=False
        Whether arrays may be deflated.

    Raises
    ------
    ValueError, zipfile.BadZipFile
    """
    with zipfile.ZipFile(stream) as archive:
        for member in check_archive(archive, size, compressed=compressed):
            stem, dot, suffix = member.filename.rpartition(".")
            if (dot, suffix) != (".", "npy") or (names is not None and stem not in names):
                raise ValueError(f"it must not contain {member.filename!r}")
            with archive.open(member) as file:
                # In small steps, so that little is decompressed at a time.
                check_npy(_begin(file), member.file_size)


def _begin(file: Any) -> bytes:
    head = file.read(12)
    if len(head) < 12:
        return bytes(head)
    length = int.from_bytes(head[8:10] if head[6] == 1 else head[8:12], "little")
    return bytes(head + file.read(min(length, _HEAD)))
