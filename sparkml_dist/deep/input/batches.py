"""Makes batches of a fixed size from rows in memory."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.deep.input.inputs import InputSpec, NetworkInput
from sparkml_dist.deep.input.lane_rows import LaneRows

__all__ = ["Batch", "BatchMaker", "aligned_empty"]

# Where TensorFlow wants an array to begin that it takes over without a copy.
_ALIGNMENT = 64


@dataclass(frozen=True)
class Batch:
    """The input of a rank in one step.

    Attributes
    ----------
    x : ndarray of shape (batch_size, *input_shape), or dict of str to such arrays
        Features in the network's form: one input, or several by name. Rows after the first `rows`
        repeat others, so that they do not disturb batch statistics.
    y : ndarray, shape (batch_size,)
        Class codes (int32) or targets.
    weight : ndarray of float32, shape (batch_size,)
        Row weights; 0 after the first `rows`.
    rows : int
        Number of actual rows; they come first.
    """

    x: NetworkInput
    y: npt.NDArray[Any]
    weight: npt.NDArray[np.float32]
    rows: int


class BatchMaker:
    """Assembles the rows of lanes into batches; copies each row once if the inputs allow it.

    Parameters
    ----------
    inputs : InputSpec
    n_features : int
    size : int
        Rows of a batch.
    label_dtype : dtype, default=int32
        Type of the labels, for a batch without rows.
    """

    def __init__(
        self,
        inputs: InputSpec,
        n_features: int,
        size: int,
        label_dtype: npt.DTypeLike = np.int32,
    ) -> None:
        self._inputs = inputs
        self._width = n_features
        self._size = size
        self._label_dtype = label_dtype
        # Whether the network takes whole rows without a conversion.
        self._direct = inputs.is_plain and len(inputs.parts[0].columns) == n_features
        self._scratch = None if self._direct else np.empty((size, n_features), np.float32)
        self._spare: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None = None

    def make(self, lanes: Iterable[LaneRows], *, last: bool = False) -> Batch:
        """Return the next batch.

        Parameters
        ----------
        lanes : iterable of LaneRows
            Each provides its rows of the step.
        last : bool, default=False
            Whether this is the last step of the epoch, which may have fewer rows, or none: rows of
            the previous batch replace the missing ones.
        """
        x = self._scratch
        if x is None:
            x = aligned_empty((self._size, self._width), np.float32)
        y = aligned_empty((self._size,), self._label_dtype)
        weight = aligned_empty((self._size,), np.float32)
        at = 0
        for lane in lanes:
            at = lane.fill(x, y, weight, at)
        if at < self._size:
            weight[at:] = 0.0
            self._fill_up(x, y, at)
        if not last:
            self._spare = x[:1], y[:1]
        return Batch(self._shaped(x), y, weight, at)

    def _fill_up(self, x: npt.NDArray[Any], y: npt.NDArray[Any], rows: int) -> None:
        if rows:
            again = np.resize(np.arange(rows), self._size - rows)
            x[rows:], y[rows:] = x[again], y[again]
        elif self._spare is not None:
            x[:], y[:] = self._spare
        else:
            x[:], y[:] = 0, 0

    def _shaped(self, x: npt.NDArray[np.float32]) -> NetworkInput:
        if self._direct:
            return x.reshape(self._size, *self._inputs.parts[0].shape)
        found = {}
        for part in self._inputs.parts:
            out = aligned_empty((self._size, len(part.columns)), part.dtype)
            found[part.name] = part.take(x, out=out)
        return found if len(found) > 1 else found[part.name]


def aligned_empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an array whose content is undefined, C-contiguous and aligned to 64 bytes."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    raw = np.empty(size + _ALIGNMENT, np.uint8)
    begin = -raw.ctypes.data % _ALIGNMENT
    return raw[begin : begin + size].view(dtype).reshape(shape)
