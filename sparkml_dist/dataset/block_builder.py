"""Fills a preallocated block piece by piece, so that no row is in memory twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.dataset.block import Block

__all__ = ["BlockBuilder"]


class BlockBuilder:
    """Collects rows in pieces into one block.

    Parameters
    ----------
    rows : int
        Rows of the block.
    width : int
        Features of the block.
    dtype : dtype
        Type of a dense matrix.
    label_dtype : dtype
    weighted : bool
    stored : dtype, default=float32
        Type of weights and of the values of a sparse matrix.
    capacity : int, optional
        Makes the matrix sparse, with room for this many stored values. Unused room is free: memory
        that is never written to is not resident.

    Attributes
    ----------
    rows : int
        Rows added so far.
    """

    def __init__(
        self,
        rows: int,
        width: int,
        *,
        dtype: npt.DTypeLike,
        label_dtype: npt.DTypeLike,
        weighted: bool,
        stored: npt.DTypeLike = np.float32,
        capacity: int | None,
    ) -> None:
        self.rows = 0
        self._width = width
        self._y = np.empty(rows, label_dtype)
        self._key = np.empty(rows, np.int64)
        self._weight = np.empty(rows, stored) if weighted else None
        self._stored = 0
        if capacity is None:
            self._X = np.empty((rows, width), dtype)
        else:
            self._data = np.empty(capacity, stored)
            self._indices = np.empty(capacity, np.int32)
            self._indptr = np.zeros(rows + 1, np.int64)
        self._sparse = capacity is not None

    def add(self, label: Any, weight: Any, key: Any) -> slice:
        """Add label, weight and key of some rows; return their positions in the block."""
        place = slice(self.rows, self.rows + len(label))
        self._y[place], self._key[place] = label, key
        if self._weight is not None:
            self._weight[place] = weight
        self.rows = place.stop
        return place

    def dense(self, place: slice) -> npt.NDArray[Any]:
        """Return the part of the matrix for the rows at `place`, shape (n, width), to be filled."""
        return self._X[place]

    def add_sparse(self, place: slice, matrix: sp.csr_matrix) -> None:
        """Add the features of the rows at `place`.

        Raises
        ------
        BufferError
            There is no room for all stored values.
        """
        end = self._stored + matrix.nnz
        if end > len(self._data):
            raise BufferError(f"more stored values than the {len(self._data):,} of the manifest")
        self._data[self._stored : end] = matrix.data
        self._indices[self._stored : end] = matrix.indices
        self._indptr[place.start + 1 : place.stop + 1] = matrix.indptr[1:]
        self._indptr[place.start + 1 : place.stop + 1] += self._stored
        self._stored = end

    def block(self) -> Block:
        """Return the block; all its rows must have been added."""
        X: Any
        if self._sparse:
            stored = slice(self._stored)
            X = sp.csr_matrix(
                (self._data[stored], self._indices[stored], self._indptr),
                shape=(len(self._y), self._width),
            )
        else:
            X = self._X
        return Block(X, self._y, self._weight, self._key)
