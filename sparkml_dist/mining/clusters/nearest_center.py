"""Distances of points to centers, and the nearest one of each point."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import DataError

__all__ = ["METRICS", "center_distances", "nearest_centers", "on_sphere"]

METRICS = ("euclidean", "manhattan", "cosine")
# Differences that are held in memory at a time.
_VALUES = 1 << 20

Points = npt.NDArray[np.float64]


def on_sphere(points: Points) -> Points:
    """Return points scaled to length 1; rows of zeros stay zero.

    Parameters
    ----------
    points : ndarray of float64, shape (n, d)
    """
    # Scaled first: squares of very large or small coordinates leave the range of doubles.
    largest = np.abs(points).max(axis=1, keepdims=True, initial=0.0)
    points = points / np.where(largest > 0, largest, 1.0)
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points / np.where(norms > 0, norms, 1.0))


def center_distances(points: Points, centers: Points, metric: str) -> Points:
    """Return the distance of each point to each center.

    Parameters
    ----------
    points : ndarray of float64, shape (n, d)
    centers : ndarray of float64, shape (k, d)
    metric : {"euclidean", "manhattan", "cosine"}

    Returns
    -------
    ndarray of float64, shape (n, k)

    Raises
    ------
    DataError
        ``zero_vector`` for a row of zeros and the cosine.
    """
    if metric == "cosine":
        if not points.any(axis=1).all():
            raise DataError(
                "zero_vector",
                "The cosine of a row whose coordinates are all zero is not defined.",
                "Drop those rows, or use another distanceMeasure.",
            )
        points, centers = on_sphere(points), on_sphere(centers)
        return np.asarray(np.maximum(0.0, 1.0 - points @ centers.T))
    found = np.empty((len(points), len(centers)))
    step = max(1, _VALUES // max(1, points.shape[1]))
    for start in range(0, len(points), step):
        block = points[start : start + step]
        for j, center in enumerate(centers):
            # Differences, not |x|² - 2xc + |c|², which loses digits far from the origin.
            apart = block - center
            if metric == "manhattan":
                found[start : start + step, j] = np.abs(apart).sum(axis=1)
            else:
                found[start : start + step, j] = np.sqrt(np.einsum("ij,ij->i", apart, apart))
    return found


def nearest_centers(
    points: Points, centers: Points, metric: str
) -> tuple[npt.NDArray[np.int64], Points]:
    """Return the number of the nearest center of each point, and how far it is.

    Of two centers at the same distance, the lower number.
    """
    distances = center_distances(points, centers, metric)
    nearest = distances.argmin(axis=1)
    return nearest, distances[np.arange(len(points)), nearest]
