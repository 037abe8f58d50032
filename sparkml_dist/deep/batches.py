"""Whole batches of one size from rows in memory: gathered, shaped, weighted and filled up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.deep.buffers import Buffers
from sparkml_dist.deep.inputs import InputSpec, NetworkInput
from sparkml_dist.deep.read_ahead import HeldRows

__all__ = ["Batch", "BatchMaker", "Rows"]

#: Some rows in memory, from where to where.
Rows = tuple[HeldRows, int, int]


@dataclass(frozen=True)
class Batch:
    """What a rank trains on in one step.

    Attributes
    ----------
    x : ndarray of shape (batch_size, *input_shape), or dict of str to such arrays
        Features as the network takes them: one input, or several by name. Rows past `rows` repeat
        others, so that they disturb no batch statistics.
    y : ndarray, shape (batch_size,)
        Class codes (int32) or targets.
    weight : ndarray of float32, shape (batch_size,)
        Row weights; 0 past `rows`.
    rows : int
        Rows that count; they come first.
    """

    x: NetworkInput
    y: npt.NDArray[Any]
    weight: npt.NDArray[np.float32]
    rows: int


class BatchMaker:
    """Gathers rows of row groups into batches; each row is copied once where inputs allow.

    Parameters
    ----------
    inputs : InputSpec
    n_features : int
    size : int
        Rows of a batch.
    label_dtype : dtype, default=int32
        Of the labels, for a batch where none are at hand.
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
        self._buffers = Buffers()
        # Whether the network takes rows as they are gathered.
        self._direct = inputs.is_plain and len(inputs.parts[0].columns) == n_features
        self._scratch = None if self._direct else np.empty((size, n_features), np.float32)

    def make(self, parts: Sequence[Rows], stand_in: Rows | None = None) -> Batch:
        """Return the batch of some rows.

        Parameters
        ----------
        parts : sequence of (HeldRows, int, int)
            Fewer rows than a batch at the end of an epoch, or none.
        stand_in : (HeldRows, int, int), optional
            What to fill a batch without rows up with; zeros by default.
        """
        rows = sum(stop - start for _, start, stop in parts)
        taken = parts or ([stand_in] if stand_in else [])
        x = self._scratch
        if x is None:
            x = self._buffers.empty((self._size, self._width), np.float32)
        dtype = taken[0][0].block.y.dtype if taken else self._label_dtype
        y = self._buffers.empty((self._size,), dtype)
        weight = self._buffers.empty((self._size,), np.float32)
        at = 0
        for held, start, stop in taken:
            block, chosen = held.block, held.rows(start, stop)
            place = slice(at, at + stop - start)
            _gather(block.X, chosen, x[place])
            y[place] = block.y[chosen]
            weight[place] = 1.0 if block.weight is None else block.weight[chosen]
            at = place.stop
        weight[rows:] = 0.0
        if at < self._size:
            again = np.resize(np.arange(at), self._size - at)
            x[at:], y[at:] = (x[again], y[again]) if at else (0, 0)
        return Batch(self._shaped(x), y, weight, rows)

    def _shaped(self, x: npt.NDArray[np.float32]) -> NetworkInput:
        if self._direct:
            return x.reshape(self._size, *self._inputs.parts[0].shape)
        found = {}
        for part in self._inputs.parts:
            out = self._buffers.empty((self._size, len(part.columns)), part.dtype)
            found[part.name] = part.take(x, out=out)
        return found if len(found) > 1 else found[part.name]


def _gather(X: Any, rows: slice | npt.NDArray[np.int64], out: npt.NDArray[np.float32]) -> None:
    """Copy rows of a dense or CSR matrix to `out`."""
    if not isinstance(X, np.ndarray):
        X[rows].toarray(out=out)
    elif isinstance(rows, slice):
        np.copyto(out, X[rows])
    else:
        # Any other mode than the default one writes to `out` without a copy in between.
        np.take(X, rows, axis=0, out=out, mode="clip")
