"""What files declare of their size, checked before memory is taken for it.

An array's header says how large the array is, and an archive's directory how large its members
become. Readers believe both: a file of a megabyte can ask for terabytes. Here the declarations are
held against the bytes that are there.

- An array's values must fill its file or member to the byte; it holds no Python objects.
- Members of an archive are stored as they are, or, where compression is allowed, become no more
  than `ROOM` and `RATIO` times the archive's own size together.
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

# numpy itself reads headers of up to 10,000 bytes; before them stand eight to twelve more.
_HEAD = 10_012
_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def check_npy(head: bytes, size: int) -> tuple[tuple[int, ...], np.dtype]:
    """Return an array's shape and type, if it is as large as it declares.

    Parameters
    ----------
    head : bytes
        The beginning of the file, or all of it.
    size : int
        Size of the whole file in bytes.

    Returns
    -------
    shape : tuple of int
    dtype : dtype

    Raises
    ------
    ValueError
        Where header and size do not fit, or the array holds objects.
    """
    if head[:6] != b"\x93NUMPY" or len(head) < 12:
        raise ValueError("it is no array in numpy's format")
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
    """Return the shape, type and bytes of the values that a header announces."""
    stream = io.BytesIO(header)
    version = npy.read_magic(stream)
    if version not in _READERS:
        raise ValueError(f"its format {version} is not known")
    shape, _, dtype = _READERS[version](stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    if any(n < 0 for n in shape):
        raise ValueError(f"it has the shape {shape}")
    count = math.prod(shape)
    if not dtype.itemsize and count:
        raise ValueError(f"it has {count:,} values without a size")
    return tuple(shape), dtype, count * dtype.itemsize


def check_archive(
    archive: zipfile.ZipFile, size: int, *, compressed: bool = False
) -> list[zipfile.ZipInfo]:
    """Return the members of a ZIP archive, if they are no larger than they may be.

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
        Where a name stands twice, a member is encrypted or compressed in a way that is not
        allowed, or the members declare more bytes together than they may have.
    """
    members = archive.infolist()
    if len({m.filename for m in members}) != len(members):
        raise ValueError("a member stands in it twice")
    for member in members:
        if member.flag_bits & 0x1:
            raise ValueError(f"{member.filename!r} is encrypted")
        if member.compress_type == zipfile.ZIP_STORED:
            if member.file_size != member.compress_size:
                raise ValueError(f"{member.filename!r} has two sizes")
        elif not compressed or member.compress_type != zipfile.ZIP_DEFLATED:
            raise ValueError(f"{member.filename!r} is compressed")
    declared = sum(m.file_size for m in members)
    most = ROOM + RATIO * size if compressed else size
    if declared > most:
        raise ValueError(
            f"its members declare {declared:,} bytes; of {size:,} bytes they may become {most:,}"
        )
    return members


def check_npz(
    stream: IO[bytes], size: int, names: Sequence[str] | None = None, *, compressed: bool = False
) -> None:
    """Raise unless the arrays of an ``.npz`` archive are as large as they declare.

    Parameters
    ----------
    stream : file object
        Its position changes.
    size : int
        Size of the archive in bytes.
    names : sequence of str, optional
        Names that its arrays may have, without ``.npy``.
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
                raise ValueError(f"{member.filename!r} does not belong in it")
            with archive.open(member) as file:
                # In small steps: what is inflated at once is bounded by what is asked for.
                check_npy(_begin(file), member.file_size)


def _begin(file: Any) -> bytes:
    head = file.read(12)
    if len(head) < 12:
        return bytes(head)
    length = int.from_bytes(head[8:10] if head[6] == 1 else head[8:12], "little")
    return bytes(head + file.read(min(length, _HEAD)))
