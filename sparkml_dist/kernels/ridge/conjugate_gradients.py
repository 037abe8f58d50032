"""Ridge regression for many centres: conjugate gradients, each iteration a sum over shards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from sparkml_dist.kernels.functions.kernel import Floats
from sparkml_dist.kernels.ridge.feature_map import FeatureMap
from sparkml_dist.kernels.ridge.targets import Targets

__all__ = ["Preconditioner", "Solution", "conjugate_gradients", "first_sums", "product_of_block"]

Matrix = npt.NDArray[np.float64]


def first_sums(block: Any, similarities: FeatureMap, targets: Targets) -> dict[str, Any]:
    """Return the right-hand side of the normal equations, ``Kᵀ y``, and what an intercept needs.

    Parameters
    ----------
    block : Block
    similarities : FeatureMap
        Similarities to centres, without whitening, or random features.
    targets : Targets
    """
    m, k = similarities.n_outputs, targets.number
    found: dict[str, Any] = {
        "moment": np.zeros((m, k)),
        "feature_sum": np.zeros(m),
        "target_sum": np.zeros(k),
        "weight": 0.0,
        "rows": 0,
    }
    y, (weight, _) = targets.of(block), targets.weights(block)
    for rows, alike in similarities.chunks(block.X):
        w = weight[rows]
        weighted = y[rows] * w[:, None]
        found["moment"] += alike.T @ weighted.astype(alike.dtype)
        found["feature_sum"] += alike.T @ w.astype(alike.dtype)
        found["target_sum"] += weighted.sum(axis=0)
        found["weight"] += float(w.sum())
        found["rows"] += int(np.count_nonzero(w))
    return found


def product_of_block(
    block: Any, similarities: FeatureMap, targets: Targets, vector: Matrix
) -> dict[str, Any]:
    """Return ``Kᵀ W (K v)`` of a block, with its similarities K and weights W.

    Similarities are computed anew in each pass, so that memory does not grow with the rows.

    Parameters
    ----------
    block : Block
    similarities : FeatureMap
    targets : Targets
    vector : ndarray of float64, shape (m, k)
    """
    found = np.zeros(vector.shape)
    weight, _ = targets.weights(block)
    for rows, alike in similarities.chunks(block.X):
        fitted = alike @ vector.astype(alike.dtype)
        found += alike.T @ (fitted * weight[rows, None].astype(alike.dtype))
    return {"product": found}


@dataclass(frozen=True)
class Preconditioner:
    """Coordinates in which the normal equations are well conditioned.

    With the triangular factor T of the centres' kernel matrix, features are ``K T⁻¹``, and the
    centres stand for all rows: ``n / m T Tᵀ + alpha I = Aᵀ A`` approximates the normal
    equations.

    Attributes
    ----------
    root : ndarray of float64, shape (m, m)
        T, upper triangular.
    factor : ndarray of float64, shape (m, m)
        A, upper triangular.

    References
    ----------
    Rudi, Carratino, Rosasco (2017), "FALKON: an optimal large scale kernel method",
    arXiv:1705.10958.
    """

    root: Matrix
    factor: Matrix

    @staticmethod
    def root_of(gram: Floats) -> Matrix:
        """Return T for a kernel matrix; its diagonal is raised as far as rounding demands."""
        jitter = len(gram) * np.finfo(np.float64).eps * float(gram.diagonal().mean())
        while True:
            try:
                raised = gram + jitter * np.eye(len(gram))
                found: Matrix = scipy.linalg.cholesky(raised, lower=False, overwrite_a=True)
            except np.linalg.LinAlgError:
                jitter *= 10
            else:
                return found

    @classmethod
    def of(cls, root: Matrix, weight: float, alpha: float) -> Preconditioner:
        """Return the preconditioner for rows of a total weight, and a penalty."""
        inner = (weight / len(root)) * (root @ root.T)
        inner[np.diag_indices_from(inner)] += alpha
        return cls(root, scipy.linalg.cholesky(inner, lower=False, overwrite_a=True))

    def to_coefficients(self, inner: Matrix) -> Matrix:
        """Return coefficients of centres for coordinates, ``T⁻¹ A⁻¹ β``."""
        return _solve(self.root, _solve(self.factor, inner))

    def features_of(self, inner: Matrix) -> Matrix:
        """Return coefficients of features for coordinates, ``A⁻¹ β``."""
        return _solve(self.factor, inner)

    def from_moments(self, moments: Matrix) -> Matrix:
        """Return ``A⁻ᵀ T⁻ᵀ`` times sums of similarities."""
        return _solve(self.factor, _solve(self.root, moments, "T"), "T")

    def shrunk(self, inner: Matrix, alpha: float) -> Matrix:
        """Return ``alpha A⁻ᵀ A⁻¹ β``."""
        return alpha * _solve(self.factor, _solve(self.factor, inner), "T")


def _solve(factor: Matrix, values: Matrix, transposed: str = "N") -> Matrix:
    found: Matrix = scipy.linalg.solve_triangular(factor, values, trans=transposed)
    return found


@dataclass(frozen=True)
class Solution:
    """Where conjugate gradients ended.

    Attributes
    ----------
    coefficients : ndarray of float64, shape (m, k)
        Of the centres.
    iterations : int
    residual : float
        Of the preconditioned equations, relative to their right-hand side.
    converged : bool
        Whether the residual is at most the tolerance.
    """

    coefficients: Matrix
    iterations: int
    residual: float
    converged: bool


def conjugate_gradients(
    product: Callable[[Matrix], Matrix],
    moment: Matrix,
    preconditioner: Preconditioner,
    alpha: float,
    *,
    tol: float,
    max_iter: int,
) -> Solution:
    """Solve the normal equations of a ridge regression on similarities.

    Parameters
    ----------
    product : callable
        From coefficients v to ``Kᵀ W K v``, both of shape (m, k): a pass over the rows.
    moment : ndarray of float64, shape (m, k)
        ``Kᵀ W y``.
    preconditioner : Preconditioner
    alpha : float
        Penalty.
    tol : float
        Relative residual at which to stop.
    max_iter : int
        Most passes.

    Returns
    -------
    Solution

    References
    ----------
    Hestenes, Stiefel (1952), "Methods of conjugate gradients for solving linear systems".
    """
    right = preconditioner.from_moments(moment)
    solution = np.zeros_like(right)
    residual = right.copy()
    direction = residual.copy()
    squares = np.einsum("ik,ik->k", residual, residual)
    start = np.where(squares > 0, squares, 1.0)
    done = 0
    while done < max_iter and (squares > tol**2 * start).any():
        passed = product(preconditioner.to_coefficients(direction))
        image = preconditioner.from_moments(passed) + preconditioner.shrunk(direction, alpha)
        curvature = np.einsum("ik,ik->k", direction, image)
        step = np.where(curvature > 0, squares / np.where(curvature > 0, curvature, 1.0), 0.0)
        solution += step * direction
        residual -= step * image
        before, squares = squares, np.einsum("ik,ik->k", residual, residual)
        direction = residual + np.where(before > 0, squares / np.maximum(before, 1e-300), 0.0) * (
            direction
        )
        done += 1
    relative = float(np.sqrt((squares / start).max()))
    return Solution(preconditioner.to_coefficients(solution), done, relative, relative <= tol)
