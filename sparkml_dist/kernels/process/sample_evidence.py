"""Hyper-parameters of a Gaussian process by the marginal likelihood of a sample of rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from sparkml_dist.kernels.functions.kernel import Kernel
from sparkml_dist.kernels.functions.matern import MaternKernel

__all__ = ["Hyperparameters", "log_evidence", "most_likely"]

Matrix = npt.NDArray[np.float64]

_LEAST_NOISE = 1e-6
_MOST_ITERATIONS = 100


@dataclass(frozen=True)
class Hyperparameters:
    """Hyper-parameters, in units of standardized targets.

    Attributes
    ----------
    length_scales : ndarray of float64, shape (d,)
    signal, noise : float
        Variances of the function and of the noise.
    log_evidence : float
        Of the sample.
    """

    length_scales: Matrix
    signal: float
    noise: float
    log_evidence: float


def _slopes(kernel: Kernel) -> Callable[[Matrix], tuple[Matrix, Matrix]]:
    """Return a function from squared distances to the kernel k and to a slope h.

    The derivative of k by the logarithm of a length scale is h times that coordinate's part of the
    squared distance.
    """
    nu = kernel.nu if isinstance(kernel, MaternKernel) else math.inf

    def slopes(squared: Matrix) -> tuple[Matrix, Matrix]:
        if nu == math.inf:
            found = np.exp(-squared / 2)
            return found, found
        distance = np.sqrt(2 * nu * squared)
        powers = np.exp(-distance)
        if nu == 0.5:
            return powers, np.where(
                distance > 0, powers / np.where(distance > 0, distance, 1.0), 0.0
            )
        if nu == 1.5:
            return (1 + distance) * powers, 3 * powers
        return (1 + distance + distance**2 / 3) * powers, 5 / 3 * (1 + distance) * powers

    return slopes


def log_evidence(X: Matrix, y: Matrix, kernel: Kernel, logs: Matrix) -> tuple[float, Matrix]:
    """Return the log marginal likelihood of a Gaussian process, and its gradient.

    Parameters
    ----------
    X : ndarray of float64, shape (n, d)
    y : ndarray of float64, shape (n,)
        Targets of mean 0.
    kernel : Kernel
        The family: Gaussian, or Matérn of nu 0.5, 1.5 or 2.5.
    logs : ndarray of float64, shape (d + 2,)
        Logarithms of the length scales, the signal's and the noise's variance.

    Returns
    -------
    (float, ndarray of float64 of shape (d + 2,))

    References
    ----------
    Rasmussen, Williams (2006), "Gaussian processes for machine learning", equations 5.8 and 5.9.
    """
    n = len(X)
    signal, noise = np.exp(logs[-2:])
    scaled = X / np.exp(logs[:-2])
    squares = np.einsum("ij,ij->i", scaled, scaled)
    squared = np.maximum(squares[:, None] + squares - 2 * scaled @ scaled.T, 0.0)
    np.fill_diagonal(squared, 0.0)
    alike, slope = _slopes(kernel)(squared)
    gram = signal * alike
    gram[np.diag_indices(n)] += noise
    factor = scipy.linalg.cholesky(gram, lower=True)
    weights = scipy.linalg.cho_solve((factor, True), y)
    value = -0.5 * float(y @ weights) - float(np.log(factor.diagonal()).sum())
    value -= n / 2 * math.log(2 * math.pi)
    inner = np.outer(weights, weights) - scipy.linalg.cho_solve((factor, True), np.eye(n))
    gradient = np.empty(len(logs))
    pull = inner * slope
    # Σ pull (x_i - x_j)², without a matrix for each coordinate.
    parts = 2 * (scaled**2).T @ pull.sum(axis=1) - 2 * np.einsum("ij,ij->j", scaled, pull @ scaled)
    gradient[:-2] = 0.5 * signal * parts
    gradient[-2] = 0.5 * signal * float((inner * alike).sum())
    gradient[-1] = 0.5 * noise * float(np.trace(inner))
    return value, gradient


def most_likely(
    X: Matrix,
    y: Matrix,
    kernel: Kernel,
    start: float,
    *,
    fixed: bool = False,
    max_iter: int = _MOST_ITERATIONS,
) -> Hyperparameters:
    """Return the hyper-parameters with the greatest marginal likelihood of rows.

    A length scale for each feature (automatic relevance determination), by L-BFGS.

    Parameters
    ----------
    X : ndarray of float64, shape (n, d)
    y : ndarray of float64, shape (n,)
        Standardized targets.
    kernel : Kernel
        The family.
    start : float
        Length scale to begin with.
    fixed : bool, default=False
        Whether it stays.
    max_iter : int, default=100
    """
    from scipy.optimize import minimize

    width = X.shape[1]

    def objective(logs: Matrix) -> tuple[float, Matrix]:
        try:
            value, gradient = log_evidence(X, y, kernel, logs)
        except np.linalg.LinAlgError:
            return 1e25, np.zeros(len(logs))
        return -value, -gradient

    scale = math.log(start)
    first = np.array([*[scale] * width, 0.0, math.log(0.1)])
    reach = 0.0 if fixed else 6.0
    bounds: list[Any] = [(scale - reach, scale + reach)] * width
    bounds += [(math.log(1e-3), math.log(1e3)), (math.log(_LEAST_NOISE), math.log(10.0))]
    found = minimize(
        objective, first, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": max_iter}
    )
    signal, noise = np.exp(found.x[-2:])
    return Hyperparameters(np.exp(found.x[:-2]), float(signal), float(noise), -float(found.fun))
