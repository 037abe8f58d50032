"""Local reachability densities and local outlier factors, from neighbourhoods."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkml_dist.mining.outliers.neighborhoods import Neighborhoods
from sparkml_dist.mining.outliers.point_blocks import PointBlocks

__all__ = ["factors", "reachability_density"]

#: Keeps the density of points with k duplicates finite, as in scikit-learn.
_LEAST_REACH = 1e-10


def reachability_density(near: Neighborhoods, blocks: PointBlocks) -> npt.NDArray[np.float64]:
    """Return the local reachability density of points, shape (m,).

    The inverse of the mean of max(k-distance of the neighbour, distance to it) over k neighbours.

    Parameters
    ----------
    near : Neighborhoods
        Of the points, shape (m, c).
    blocks : PointBlocks
        With ``reach``, the k-distance of each point.
    """
    reach = np.maximum(near.distances, blocks.gathered("reach", near.rows))
    density: npt.NDArray[np.float64] = 1.0 / (near.mean(reach) + _LEAST_REACH)
    return density


def factors(
    near: Neighborhoods, blocks: PointBlocks, density: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the local outlier factor of points, shape (m,).

    Parameters
    ----------
    near : Neighborhoods
        Of the points, shape (m, c).
    blocks : PointBlocks
        With ``density`` of each point.
    density : ndarray of float64, shape (m,)
        Density of each of the m points.
    """
    return near.mean(blocks.gathered("density", near.rows)) / density
