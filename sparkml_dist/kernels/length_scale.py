"""Length scales from a sample of rows: the median heuristic, and held-out rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.kernels.functions.families import kernel_of
from sparkml_dist.kernels.functions.kernel import Floats

__all__ = ["held_out_length_scale", "median_distance"]

_MOST_ROWS = 1000
#: Factors on the median distance that are tried on held-out rows.
FACTORS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
_ALPHAS = (1e-6, 1e-4, 1e-2, 1.0)


def median_distance(X: Floats, norm: str) -> float:
    """Return the median distance between rows of a sample.

    Parameters
    ----------
    X : ndarray of float, shape (n, d)
        Of more than 1,000 rows the first ones are used.
    norm : {"euclidean", "manhattan"}

    Raises
    ------
    DataError
        ``too_few_rows`` where all rows are equal.

    References
    ----------
    Garreau, Jitkrittum, Kanagawa (2017), "Large sample analysis of the median heuristic",
    arXiv:1707.07269.

    Examples
    --------
    >>> median_distance(np.array([[0.0], [1.0], [3.0]]), "euclidean")
    2.0
    """
    from scipy.spatial.distance import pdist

    kind = {"euclidean": "euclidean", "manhattan": "cityblock"}[norm]
    apart = pdist(X[:_MOST_ROWS], kind)
    positive = apart[apart > 0]
    if not len(positive):
        raise DataError(
            "too_few_rows",
            f"All {len(X):,} rows that were drawn are equal, so that they have no median distance.",
            "Give lengthScale as a number, or features that vary.",
        )
    middle = float(np.median(apart))
    # With many copies of a row the median of all distances is 0.
    return middle if middle > 0 else float(np.median(positive))


def held_out_length_scale(
    X: Floats, targets: npt.NDArray[Any], kernel: dict[str, Any], most: int = 1500
) -> float:
    """Return the length scale whose kernel ridge predicts held-out rows of a sample best.

    Half of the rows are held out. Each of `FACTORS` times the median distance is tried with several
    penalties; the eigenvalues of the kernel matrix give all penalties at once.

    Parameters
    ----------
    X : ndarray of float, shape (n, d)
        In random order.
    targets : ndarray of float64, shape (n, k)
    kernel : dict
        Arguments of `kernel_of` besides the length scale.
    most : int, default=1500
        Rows that are used.

    Raises
    ------
    ConfigurationError
        ``no_validation`` with fewer than four rows.
    """
    X, targets = X[:most], targets[:most]
    if len(X) < 4:
        raise ConfigurationError(
            "no_validation",
            f"lengthScale='validation' holds out half of the rows, but there are {len(X)}.",
            "Give lengthScale as a number.",
        )
    half = len(X) // 2
    middle = median_distance(X, kernel_of(**kernel).norm)
    mean = targets[half:].mean(axis=0)
    scores = {}
    for factor in FACTORS:
        tried = kernel_of(**kernel, length_scale=factor * middle)
        values, vectors = np.linalg.eigh(tried.matrix(X[half:], X[half:]))
        across = tried.matrix(X[:half], X[half:]) @ vectors
        moment = vectors.T @ (targets[half:] - mean)
        for alpha in _ALPHAS:
            found = across @ (moment / (np.maximum(values, 0) + alpha * (half + 1))[:, None])
            scores[factor, alpha] = float(((targets[:half] - mean - found) ** 2).sum())
    best, _ = min(scores, key=lambda tried: scores[tried])
    return best * middle
