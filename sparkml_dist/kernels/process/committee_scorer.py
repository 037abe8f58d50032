"""Predictions of a generalized robust committee of Gaussian processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.linalg

from sparkml_dist.kernels.feature_model import scaling_of
from sparkml_dist.kernels.functions.kernel import Kernel
from sparkml_dist.kernels.machine_scorer import checked_arrays
from sparkml_dist.kernels.nystroem_map import row_chunks
from sparkml_dist.kernels.process.process_scorer import Distribution, ProcessScorer
from sparkml_dist.persistence.arrays import check_array

__all__ = ["CommitteeScorer", "committee", "exact_process"]

Matrix = npt.NDArray[np.float64]


def exact_process(
    X: Matrix, y: Matrix, kernel: Kernel, signal: float, noise: float
) -> Callable[[Matrix], tuple[Matrix, Matrix]]:
    """Return the predictive distribution of the function given rows, without noise.

    Parameters
    ----------
    X : ndarray of float64, shape (n, d)
    y : ndarray of float64, shape (n,)
        Targets of mean 0.
    kernel : Kernel
    signal, noise : float
        Variances.

    Returns
    -------
    callable
        From rows (m, d) to means and variances (m,).

    References
    ----------
    Rasmussen, Williams (2006), "Gaussian processes for machine learning", algorithm 2.1.
    """
    gram = signal * kernel.matrix(X, X)
    gram[np.diag_indices_from(gram)] += noise
    factor = scipy.linalg.cholesky(gram, lower=True, overwrite_a=True)
    weights = scipy.linalg.cho_solve((factor, True), y)

    def predict(rows: Matrix) -> tuple[Matrix, Matrix]:
        alike = signal * kernel.matrix(X, rows)
        solved = scipy.linalg.solve_triangular(factor, alike, lower=True)
        variance = signal * kernel.diagonal(rows) - np.einsum("ij,ij->j", solved, solved)
        return weights @ alike, np.maximum(variance, 1e-12 * signal)

    return predict


def committee(
    shared: tuple[Matrix, Matrix], experts: list[tuple[Matrix, Matrix]]
) -> tuple[Matrix, Matrix]:
    """Combine the predictions of experts that have some rows in common.

    Parameters
    ----------
    shared : (ndarray, ndarray), each of shape (n,)
        Means and variances by the common rows alone.
    experts : list of (ndarray, ndarray)
        By the common rows and those of an expert.

    Returns
    -------
    (ndarray, ndarray), each of shape (n,)
        Where no expert knows more than the common rows, these; never more certain than what the
        experts know beyond them.

    References
    ----------
    Liu, Cai, Wang, Ong (2018), "Generalized robust Bayesian committee machine for large-scale
    Gaussian process regression", arXiv:1806.00720.
    """
    mean, variance = shared
    precision, weighted, total = np.zeros(len(mean)), np.zeros(len(mean)), np.zeros(len(mean))
    for i, (own_mean, own_variance) in enumerate(experts):
        # The information of an expert beyond the common rows; the first one counts in full.
        beta = 0.5 * (np.log(variance) - np.log(own_variance)) if i else np.ones(len(mean))
        precision += beta / own_variance
        weighted += beta * own_mean / own_variance
        total += beta
    precision += (1 - total) / variance
    weighted += (1 - total) * mean / variance
    # Rounding alone could make a precision less than that of the common rows.
    found = np.maximum(precision, 1 / variance)
    return weighted / found, 1 / found


class CommitteeScorer(ProcessScorer):
    """Exact Gaussian processes on parts of the rows, combined."""

    def distribution(self) -> Distribution:
        """Return a function from features (n, d) to means and variances (n,)."""
        arrays = checked_arrays(self.folder, self.files)
        scaling = scaling_of(arrays, self.counts)
        check_array(arrays, "intercept", (1,))
        check_array(arrays, "shared_rows", (None, scaling.width))
        check_array(arrays, "shared_targets", (len(arrays["shared_rows"]),))
        common = arrays["shared_rows"], arrays["shared_targets"]
        kernel, signal, noise = self.kernel, self.signal, self.noise
        shared = exact_process(*common, kernel, signal, noise)
        experts: list[Callable[[Matrix], tuple[Matrix, Matrix]]] = []
        widest = len(common[0])
        while (name := f"rows_{len(experts)}") in arrays:
            targets = f"targets_{len(experts)}"
            check_array(arrays, name, (None, scaling.width))
            check_array(arrays, targets, (len(arrays[name]),))
            X = np.vstack([common[0], arrays[name]])
            y = np.concatenate([common[1], arrays[targets]])
            experts.append(exact_process(X, y, kernel, signal, noise))
            widest = max(widest, len(X))
        constant, factor = float(arrays["intercept"][0]), 1.0
        if "calibration" in arrays:
            check_array(arrays, "calibration", (1,))
            factor = float(arrays["calibration"][0]) ** 2

        def predict(X: Any) -> tuple[Matrix, Matrix]:
            mean, variance = np.empty(X.shape[0]), np.empty(X.shape[0])
            for rows in row_chunks(X.shape[0], widest):
                scaled = scaling.apply(X[rows])
                found = committee(shared(scaled), [expert(scaled) for expert in experts])
                mean[rows] = found[0] + constant
                variance[rows] = factor * (found[1] + self.noise)
            return mean, variance

        return predict
