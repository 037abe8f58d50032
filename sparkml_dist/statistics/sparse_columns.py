"""Sparse rows with an intercept, which is not stored as a column of ones in every pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

__all__ = ["SparseColumns"]

Array = npt.NDArray[np.float64]


class SparseColumns:
    """A design matrix: an optional column of ones, then those of a CSR matrix.

    Parameters
    ----------
    X : csr_matrix of shape (n, d)
    intercept : bool
        Whether the first column is one of ones.
    """

    def __init__(self, X: sp.csr_matrix, intercept: bool) -> None:
        self.X = X
        self.intercept = intercept

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.X.shape[0], self.X.shape[1] + self.intercept

    def __matmul__(self, other: Array) -> Array:
        if not self.intercept:
            return np.asarray(self.X @ other)
        return np.asarray(self.X @ other[1:] + other[0])

    @property
    def T(self) -> _Transposed:
        """The transpose, for products."""
        return _Transposed(self)

    def squares(self) -> SparseColumns:
        """Return the matrix of squares."""
        return SparseColumns(self.X.multiply(self.X).tocsr(), self.intercept)

    def csr(self) -> sp.csr_matrix:
        """Return the whole matrix."""
        if not self.intercept:
            return self.X
        ones = np.ones((self.X.shape[0], 1))
        return sp.csr_matrix(sp.hstack([ones, self.X], format="csr"))

    def toarray(self) -> Array:
        """Return the whole matrix, dense."""
        return np.asarray(self.csr().toarray())


class _Transposed:
    def __init__(self, columns: SparseColumns) -> None:
        self._columns = columns

    def __matmul__(self, other: Any) -> Array:
        found = np.asarray(self._columns.X.T @ other)
        if not self._columns.intercept:
            return found
        return np.concatenate([np.asarray(other.sum(axis=0))[None], found])
