"""Additive statistics that a task keeps and hands on as rows, to be summed up by Spark."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

__all__ = ["PartialSums"]

_PENDING = 1 << 20
_EMITTED = 1 << 16


class PartialSums:
    """Sums of pairs (a, b) for each kind and key, kept small by compressing now and then.

    Attributes
    ----------
    SCHEMA : str
        Schema of the rows that `batches` gives.
    """

    SCHEMA = "kind int, key bigint, a double, b double"

    def __init__(self) -> None:
        self._parts: list[npt.NDArray[np.float64]] = []
        self._keys: list[npt.NDArray[np.int64]] = []
        self._pending = 0

    def add(
        self,
        kind: int,
        key: npt.NDArray[np.int64] | int,
        a: npt.NDArray[np.float64] | float,
        b: npt.NDArray[np.float64] | float = 0.0,
    ) -> None:
        """Add pairs.

        Parameters
        ----------
        kind : int
            What the pairs are about, from 0 to 7.
        key : int or ndarray of int64, shape (n,)
            Which sums of that kind they go into, from 0 to 2**60.
        a, b : float or ndarray of the same shape as `key`
            The values.
        """
        keys = np.atleast_1d(np.asarray(key, dtype=np.int64)).ravel()
        values = np.empty((len(keys), 2))
        values[:, 0] = np.ravel(a)
        values[:, 1] = np.ravel(b)
        self._keys.append((keys << 3) | kind)
        self._parts.append(values)
        self._pending += len(keys)
        if self._pending > _PENDING:
            self._compress()
            self._pending = 0

    def _compress(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        if not self._keys:
            return np.zeros(0, np.int64), np.zeros((0, 2))
        keys, at = np.unique(np.concatenate(self._keys), return_inverse=True)
        values = np.concatenate(self._parts)
        sums = np.empty((len(keys), 2))
        for i in range(2):
            sums[:, i] = np.bincount(at, values[:, i], len(keys))
        self._keys, self._parts = [keys], [sums]
        return keys, sums

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Return the sums as Arrow batches of `SCHEMA`."""
        keys, sums = self._compress()
        for at in range(0, len(keys), _EMITTED):
            part = slice(at, at + _EMITTED)
            yield pa.RecordBatch.from_arrays(
                [
                    pa.array((keys[part] & 7).astype(np.int32)),
                    pa.array(keys[part] >> 3),
                    pa.array(sums[part, 0]),
                    pa.array(sums[part, 1]),
                ],
                names=["kind", "key", "a", "b"],
            )
