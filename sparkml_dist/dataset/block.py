"""A block: the rows of one or more shards in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.schema import Matrix

__all__ = ["Block", "matrix_bytes"]


def matrix_bytes(matrix: Matrix) -> int:
    """Return the bytes of a dense or CSR matrix in memory."""
    if isinstance(matrix, np.ndarray):
        return int(matrix.nbytes)
    return int(matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes)


@dataclass(frozen=True)
class Block:
    """Rows of one or more shards.

    Attributes
    ----------
    X : ndarray of shape (n, n_features), C-contiguous, or scipy.sparse.csr_matrix
        Features as float32 (or the requested type); missing values are NaN.
    y : ndarray of shape (n,)
        int32 class codes, or float64 targets.
    weight : ndarray of float32, shape (n,), or None
        Row weights, when the data set has them.
    key : ndarray of int64, shape (n,)
        Row keys; bags, folds and held-out sets are functions of them.
    """

    X: Matrix
    y: npt.NDArray[Any]
    weight: npt.NDArray[np.float32] | None
    key: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.y)

    @property
    def row_weights(self) -> npt.NDArray[np.float64]:
        """Row weights as float64, shape (n,); ones where the data set has none."""
        if self.weight is None:
            return np.ones(len(self))
        return self.weight.astype(np.float64)

    @property
    def nbytes(self) -> int:
        """Bytes of the features in memory."""
        return matrix_bytes(self.X)
