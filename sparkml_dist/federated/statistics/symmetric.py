"""Symmetric matrices as their upper triangles, which is all that has to travel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["packed", "packed_size", "unpacked"]

Array = npt.NDArray[np.float64]


def packed_size(p: int) -> int:
    """Return the number of values in the upper triangle of a matrix of shape (p, p)."""
    return p * (p + 1) // 2


def packed(matrices: Array) -> Array:
    """Return the upper triangles, shape (..., p (p + 1) / 2), of matrices of shape (..., p, p)."""
    rows, columns = np.triu_indices(matrices.shape[-1])
    return np.ascontiguousarray(matrices[..., rows, columns])


def unpacked(triangles: Array) -> Array:
    """Return the symmetric matrices of `packed` triangles."""
    size = triangles.shape[-1]
    p = (int(np.sqrt(8 * size + 1)) - 1) // 2
    found = np.empty((*triangles.shape[:-1], p, p))
    rows, columns = np.triu_indices(p)
    found[..., rows, columns] = triangles
    found[..., columns, rows] = triangles
    return found
