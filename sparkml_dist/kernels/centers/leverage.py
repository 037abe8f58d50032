"""Centres by ridge leverage scores: rows that other rows do not explain."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from sparkml_dist.kernels.functions.kernel import Kernel

__all__ = ["by_leverage", "leverage_scores"]

_MOST_PILOT = 2000


def leverage_scores(
    X: npt.NDArray[np.float64], pilot: npt.NDArray[np.float64], kernel: Kernel, penalty: float
) -> npt.NDArray[np.float64]:
    """Estimate ridge leverage scores by what a few rows do not explain.

    Parameters
    ----------
    X : ndarray of float64, shape (n, d)
    pilot : ndarray of float64, shape (p, d)
        Random rows; with all rows the scores are exact.
    kernel : Kernel
    penalty : float
        Added to the diagonal of the kernel matrix of the pilot rows.

    Returns
    -------
    ndarray of float64, shape (n,)
        ``(k(x, x) - k(x, P) (k(P, P) + penalty I)⁻¹ k(P, x)) / penalty``, at most 1.
    """
    gram = kernel.matrix(pilot, pilot)
    gram[np.diag_indices_from(gram)] += penalty
    factor = scipy.linalg.cholesky(gram, lower=True)
    found = np.empty(len(X))
    for start in range(0, len(X), 4096):
        rows = X[start : start + 4096]
        solved = scipy.linalg.solve_triangular(factor, kernel.matrix(pilot, rows), lower=True)
        found[start : start + 4096] = kernel.diagonal(rows) - np.einsum("ij,ij->j", solved, solved)
    # A score is at most 1; that of a row which the pilot rows do not explain is over-estimated.
    return np.clip(found / penalty, 0.0, 1.0)


def by_leverage(
    X: npt.NDArray[np.float64], number: int, kernel: Kernel, seed: int
) -> npt.NDArray[Any]:
    """Return the indices of rows drawn without replacement by their ridge leverage scores.

    Parameters
    ----------
    X : ndarray of float64, shape (n, d)
    number : int
    kernel : Kernel
    seed : int

    References
    ----------
    Musco, Musco (2017), "Recursive sampling for the Nyström method", arXiv:1605.07583.
    Rudi, Calandriello, Carratino, Rosasco (2018), "On fast leverage score sampling and optimal
    learning", arXiv:1810.13258.
    """
    rng = np.random.default_rng(seed)
    pilot = X[rng.permutation(len(X))[: min(len(X), _MOST_PILOT, max(100, number))]]
    penalty = 1e-3 * float(kernel.diagonal(X).mean()) * len(pilot) / 100
    scores = leverage_scores(X, pilot, kernel, penalty) + 1e-12
    # The lowest of these draws are a sample without replacement by weight (Efraimidis, Spirakis).
    draws = rng.exponential(size=len(X)) / scores
    return np.sort(np.argpartition(draws, number - 1)[:number])
