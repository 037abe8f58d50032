"""Recycles the memory of batches that are no longer referenced."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Buffers"]

# TensorFlow uses arrays with this alignment without a copy.
_ALIGNMENT = 64
# References to a free buffer: from the list, the loop and getrefcount.
_FREE = 3


class Buffers:
    """Allocates arrays, and reuses those that are no longer referenced.

    Allocating megabytes costs more than filling them, since their pages have to be mapped. A
    reference to an array, a view or a tensor of it prevents its reuse.

    Examples
    --------
    >>> buffers = Buffers()
    >>> first = buffers.empty((1024, 28), np.float32)
    >>> address = first.ctypes.data
    >>> del first
    >>> buffers.empty((1024, 28), np.float32).ctypes.data == address
    True
    """

    def __init__(self) -> None:
        self._owned: dict[int, list[npt.NDArray[np.uint8]]] = {}

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return an array whose content is undefined, C-contiguous and aligned to 64 bytes."""
        size = math.prod(shape) * np.dtype(dtype).itemsize
        raw = self._free(size)
        begin = -raw.ctypes.data % _ALIGNMENT
        return raw[begin : begin + size].view(dtype).reshape(shape)

    def _free(self, size: int) -> npt.NDArray[np.uint8]:
        owned = self._owned.setdefault(size, [])
        for raw in owned:
            if sys.getrefcount(raw) == _FREE:
                return raw
        owned.append(np.empty(size + _ALIGNMENT, np.uint8))
        return owned[-1]
