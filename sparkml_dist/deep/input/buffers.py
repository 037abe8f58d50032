"""Memory of batches, used again once nobody holds the batch that was in it."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Buffers"]

# Where TensorFlow wants an array to begin that it takes over without a copy.
_ALIGNMENT = 64
# References to a buffer that is free: the list's, the loop's and the counting's own.
_FREE = 3


class Buffers:
    """Hands out arrays; those that are dropped are handed out again.

    A fresh array of megabytes costs more than filling it does, since its pages have to be mapped.
    Whoever holds an array, a view or a tensor of it keeps it from being used again.

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
