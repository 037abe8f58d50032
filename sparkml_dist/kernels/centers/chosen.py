"""Chooses centres among the rows of a sample, by the name of the way."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import DataError
from sparkml_dist.kernels.centers.leverage import by_leverage
from sparkml_dist.kernels.centers.plus_plus import by_distance
from sparkml_dist.kernels.functions.kernel import Kernel

__all__ = ["CENTER_METHODS", "chosen_centers", "sample_size"]

#: Ways to choose centres.
CENTER_METHODS = ("uniform", "kmeans++", "leverage")
_LEAST_SAMPLE = 2000
_MOST_CANDIDATES = 20_000


def sample_size(method: str, number: int) -> int:
    """Return how many rows to draw before `number` centres are chosen among them."""
    least = max(number, _LEAST_SAMPLE)
    return least if method == "uniform" else max(least, min(10 * number, _MOST_CANDIDATES))


def chosen_centers(
    X: npt.NDArray[np.float64], number: int, method: str, kernel: Kernel, seed: int
) -> npt.NDArray[np.float64]:
    """Return rows of a sample that are centres.

    Parameters
    ----------
    X : ndarray of float64, shape (n, d)
        In random order.
    number : int
        Number of centres.
    method : {"uniform", "kmeans++", "leverage"}
        The first rows; rows far apart (Arthur, Vassilvitskii 2007); rows that others do not
        explain (Rudi, Calandriello, Carratino, Rosasco 2018, arXiv:1810.13258).
    kernel : Kernel
    seed : int

    Returns
    -------
    ndarray of float64, shape (number, d)
        No two of them equal.

    Raises
    ------
    DataError
        ``too_few_rows``.
    """
    _, first = np.unique(X, axis=0, return_index=True)
    rows = X[np.sort(first)]
    if len(rows) < number:
        raise DataError(
            "too_few_rows",
            f"numCenters is {number:,}, but among the {len(X):,} rows that were drawn there are "
            f"{len(rows):,} distinct ones.",
            "Set a smaller numCenters, or give more rows.",
        )
    if method == "uniform" or len(rows) == number:
        return rows[:number]
    if method == "kmeans++":
        return rows[by_distance(rows, number, seed)]
    return rows[by_leverage(rows, number, kernel, seed)]
