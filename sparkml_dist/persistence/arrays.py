"""Saved arrays: numpy's own format, without pickle, written atomically."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.declared_sizes import check_npy
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["check_array", "read_array", "write_array"]


def write_array(folder: Folder, name: str, array: npt.NDArray[Any]) -> None:
    """Write an array to a file of a folder, atomically.

    Parameters
    ----------
    folder : Folder
    name : str
    array : ndarray
        An array of numbers.
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
        Number of rows that it must have.

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
            "It was truncated or altered; start the fit again with overwrite=True.",
        ) from error
    if rows is not None and len(array) != rows:
        raise StorageError(
            "array_damaged",
            f"{folder.uri(name)!r} has {len(array):,} rows instead of {rows:,}.",
            "It belongs to other shards; start the fit again with overwrite=True.",
        )
    return array


def check_array(
    arrays: Mapping[str, Any], name: str, shape: Sequence[int | None], *, below: int | None = None
) -> None:
    """Raise unless a loaded array has the shape and type that a model needs.

    Parameters
    ----------
    arrays : mapping of str to ndarray
    name : str
    shape : sequence of int or None
        None for any size.
    below : int, optional
        The values must be indices: integers from 0 to below this.

    Raises
    ------
    StorageError
        ``array_damaged``.
    """
    array = arrays.get(name)
    wrong = None
    if array is None:
        wrong = "is missing"
    elif array.ndim != len(shape) or any(
        n is not None and n != m for n, m in zip(shape, array.shape, strict=True)
    ):
        wanted = " × ".join("any" if n is None else f"{n:,}" for n in shape)
        wrong = f"has the shape {array.shape} instead of {wanted}"
    elif array.dtype.kind not in ("iu" if below is not None else "biuf"):
        wrong = f"holds values of {array.dtype}"
    elif below is not None and array.size and not 0 <= array.min() <= array.max() < below:
        wrong = f"has values from {array.min()} to {array.max()} instead of below {below:,}"
    if wrong:
        raise StorageError(
            "array_damaged",
            f"The model's array {name!r} {wrong}.",
            "It was altered or belongs to another model; restore it, or fit the model again.",
        )
