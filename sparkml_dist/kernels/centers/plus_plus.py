"""Centres far apart: the seeding of k-means++."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["by_distance"]


def by_distance(X: npt.NDArray[np.float64], number: int, seed: int) -> npt.NDArray[Any]:
    """Return the indices of rows drawn by their squared distance to those drawn before.

    Parameters
    ----------
    X : ndarray of float64, shape (n, d)
    number : int
    seed : int

    References
    ----------
    Arthur, Vassilvitskii (2007), "k-means++: the advantages of careful seeding".
    """
    from sklearn.cluster import kmeans_plusplus

    chosen: npt.NDArray[Any] = kmeans_plusplus(
        X, number, random_state=np.random.RandomState(seed % 2**32), n_local_trials=2
    )[1]
    return chosen
