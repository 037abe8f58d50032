"""Arrays at rest: numpy's own format, without pickle, committed by renaming."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.declared_sizes import check_npy
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["read_array", "write_array"]


def write_array(folder: Folder, name: str, array: npt.NDArray[Any]) -> None:
    """Write an array to a file of a folder, whole or not at all.

    Parameters
    ----------
    folder : Folder
    name : str
    array : ndarray
        Of numbers.
    """
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    folder.write_bytes(name, buffer.getvalue())


def read_array(folder: Folder, name: str, *, rows: int | None = None) -> npt.NDArray[Any]:
    """Return the array in a file of a folder.

    Parameters
    ----------
    folder : Folder
    name : str
    rows : int, optional
        How many rows it must have.

    Raises
    ------
    StorageError
        ``array_damaged``.
    """
    content = folder.read_bytes(name)
    try:
        check_npy(content, len(content))
        array: npt.NDArray[Any] = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, TypeError, OSError, EOFError) as error:
        raise StorageError(
            "array_damaged",
            f"{folder.uri(name)!r} is not an array: {error}.",
            "It was cut or altered; begin the fit anew with overwrite=True.",
        ) from error
    if rows is not None and len(array) != rows:
        raise StorageError(
            "array_damaged",
            f"{folder.uri(name)!r} has {len(array):,} rows where {rows:,} belong.",
            "It belongs to other shards; begin the fit anew with overwrite=True.",
        )
    return array
