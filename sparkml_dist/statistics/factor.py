"""Cholesky factors of information matrices: condition, dependent columns, solutions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve_triangular

__all__ = ["Factor", "Pivots", "pivots_of", "triangle_pivots"]

Array = npt.NDArray[np.float64]

_MOST_SVD = 500
_POWERS = 30


@dataclass(frozen=True)
class Pivots:
    """Columns that depend on columns before them.

    Attributes
    ----------
    dependent : dict of int to dict of int to float
        For each such column the others that it is made of, and their coefficients.
    zero : tuple of int
        Columns of zeros.
    """

    dependent: dict[int, dict[int, float]]
    zero: tuple[int, ...]


@dataclass(frozen=True)
class Factor:
    """The factor R of an information matrix ``S R' R S``, with columns scaled by S.

    Attributes
    ----------
    R : ndarray of shape (p, p)
        Upper triangular, of columns of length 1.
    scale : ndarray of shape (p,)
        The diagonal of S.
    """

    R: Array
    scale: Array

    @classmethod
    def of_gram(cls, gram: Array) -> Factor:
        """Return the factor of a Gram matrix.

        Raises
        ------
        numpy.linalg.LinAlgError
            The matrix is not positive definite.
        """
        scale = np.sqrt(np.diag(gram))
        if not (np.isfinite(scale).all() and (scale > 0).all()):
            raise np.linalg.LinAlgError("a column without length")
        lower = np.asarray(np.linalg.cholesky(gram / scale / scale[:, None]), np.float64)
        return cls(lower.T, scale)

    @classmethod
    def of_triangle(cls, R: Array) -> Factor:
        """Return the factor of a triangle of an orthogonal decomposition.

        Raises
        ------
        numpy.linalg.LinAlgError
            It is singular.
        """
        scale = np.sqrt((R * R).sum(axis=0))
        if not (np.isfinite(scale).all() and (scale > 0).all() and (np.diag(R) != 0).all()):
            raise np.linalg.LinAlgError("a column without length")
        return cls(R / scale, scale)

    def solve(self, b: Array) -> Array:
        """Return the solution x of ``S R' R S x = b``."""
        scaled = (b.T / self.scale).T
        half = solve_triangular(self.R, scaled, trans="T")
        return np.asarray((solve_triangular(self.R, half).T / self.scale).T)

    def inverse(self) -> Array:
        """Return the inverse of the information matrix."""
        half = solve_triangular(self.R, np.eye(len(self.R)))
        return np.asarray((half @ half.T) / self.scale / self.scale[:, None])

    def leverage_root(self) -> Array:
        """Return L with ``D @ L`` orthonormal: the rows' squared lengths are leverages."""
        half = solve_triangular(self.R, np.eye(len(self.R)))
        return np.asarray(half / self.scale[:, None])

    @property
    def condition(self) -> float:
        """Condition number of the scaled columns."""
        if len(self.R) > _MOST_SVD:
            return self._estimated_condition()
        values = np.linalg.svd(self.R, compute_uv=False)
        return float(values[0] / values[-1]) if values[-1] > 0 else np.inf

    def _estimated_condition(self) -> float:
        """Return the condition number by powers of R'R and of its inverse, from below."""
        largest = smallest = 1.0
        v = w = np.cos(np.arange(len(self.R), dtype=np.float64))
        for _ in range(_POWERS):
            v = self.R.T @ (self.R @ (v / np.linalg.norm(v)))
            largest = float(np.linalg.norm(v))
            w = solve_triangular(self.R, w / np.linalg.norm(w), trans="T")
            w = solve_triangular(self.R, w)
            smallest = float(np.linalg.norm(w))
        return float(np.sqrt(largest * smallest))


def pivots_of(gram: Array, tolerance: float) -> Pivots:
    """Return the columns of a Gram matrix that depend on columns before them.

    Parameters
    ----------
    gram : ndarray of shape (p, p)
    tolerance : float
        Share of a column's squared length that columns before it must leave unexplained.
    """
    lengths = np.sqrt(np.maximum(np.diag(gram), 0.0))
    zero = tuple(np.flatnonzero(lengths == 0).tolist())
    safe = np.where(lengths > 0, lengths, 1.0)
    C = gram / safe / safe[:, None]
    p = len(C)
    if not zero and _is_regular(C, tolerance):
        return Pivots({}, ())
    rows = np.zeros((p, p))  # of the factor's transpose, for the columns that are kept
    kept: list[int] = []
    dependent: dict[int, dict[int, float]] = {}
    for j in range(p):
        if j in zero:
            continue
        k = len(kept)
        L = rows[:k, :k]
        v = solve_triangular(L, C[kept, j], lower=True) if k else np.zeros(0)
        left = C[j, j] - v @ v
        if left <= tolerance:
            parts = solve_triangular(L, v, lower=True, trans="T") * safe[j] / safe[kept]
            dependent[j] = _largest(dict(zip(kept, parts.tolist(), strict=True)), safe / safe[j])
            continue
        rows[k, :k], rows[k, k] = v, np.sqrt(left)
        kept.append(j)
    return Pivots(dependent, zero)


def _is_regular(C: Array, tolerance: float) -> bool:
    try:
        lower = np.linalg.cholesky(C)
    except np.linalg.LinAlgError:
        return False
    return bool(np.min(np.diag(lower)) ** 2 > tolerance)


def triangle_pivots(R: Array, tolerance: float) -> Pivots:
    """Return the dependent columns by a triangle R of an orthogonal decomposition.

    Parameters
    ----------
    R : ndarray of shape (p, p)
    tolerance : float
        Share of a column's length that columns before it must leave unexplained.
    """
    lengths = np.sqrt((R * R).sum(axis=0))
    zero = tuple(np.flatnonzero(lengths == 0).tolist())
    safe = np.where(lengths > 0, lengths, 1.0)
    A = R / safe
    kept: list[int] = []
    dependent: dict[int, dict[int, float]] = {}
    p = len(R)
    basis = np.zeros((p, 0))
    for j in range(p):
        if j in zero:
            continue
        rest = A[:, j].copy()
        for _ in range(2):  # twice is enough
            rest -= basis @ (basis.T @ rest)
        if np.linalg.norm(rest) <= tolerance:
            parts = np.linalg.lstsq(A[:, kept], A[:, j], rcond=None)[0] * safe[j] / safe[kept]
            dependent[j] = _largest(dict(zip(kept, parts.tolist(), strict=True)), safe / safe[j])
            continue
        basis = np.column_stack([basis, rest / np.linalg.norm(rest)])
        kept.append(j)
    return Pivots(dependent, zero)


def _largest(parts: dict[int, float], lengths: Array) -> dict[int, float]:
    """Return the parts that count: those above a millionth of the column's length."""
    return {j: c for j, c in parts.items() if abs(c) * lengths[j] > 1e-6}
