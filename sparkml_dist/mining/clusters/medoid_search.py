"""Medoids of a few rows by FasterPAM."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["find_medoids"]


def find_medoids(
    distances: npt.NDArray[np.float64], k: int, rng: np.random.Generator, most_passes: int = 100
) -> npt.NDArray[np.int64]:
    """Return `k` medoids such that no swap of one for another row lowers the cost.

    The cost is the sum of all rows' distances to their nearest medoid. Swaps are made as soon as
    they help (Schubert and Rousseeuw 2021, "Fast and eager k-medoids clustering", FasterPAM): the
    change of the cost when a row replaces a medoid is computed for all medoids at once.

    Parameters
    ----------
    distances : ndarray of float64, shape (n, n)
    k : int
        Number of medoids, from 1 to n.
    rng : numpy.random.Generator
        Draws the first medoids.
    most_passes : int
        Greatest number of passes over all rows.

    Returns
    -------
    ndarray of int64, shape (k,)
        Ascending.
    """
    n = len(distances)
    medoids = _first(distances, k, rng)
    rows = np.arange(n)
    unchanged = 0
    for _ in range(most_passes):
        for new in range(n):
            if unchanged >= n:
                return np.sort(medoids)
            to_medoids = distances[:, medoids]
            if unchanged == 0:
                nearest = to_medoids.argmin(axis=1)
                first = to_medoids[rows, nearest]
                if k > 1:
                    to_medoids[rows, nearest] = np.inf
                    second = to_medoids.min(axis=1)
                else:
                    second = np.full(n, np.inf)
                # The cost that removing each medoid adds.
                gone = _by_medoid(nearest, second - first, k) if k > 1 else np.zeros(1)
            unchanged += 1
            if new in medoids:
                continue
            taken = distances[:, new]
            if k == 1:
                loss, at = float((taken - first).sum()), 0
            else:
                closer = taken < first
                gain = float((taken - first)[closer].sum())
                corrected = np.where(closer, first, np.minimum(taken, second)) - second
                losses = gone + _by_medoid(nearest, corrected, k)
                at = int(losses.argmin())
                loss = gain + float(losses[at])
            if loss < -1e-12 * max(1.0, float(first.sum())):
                medoids[at] = new
                unchanged = 0
    return np.sort(medoids)


def _by_medoid(
    nearest: npt.NDArray[np.int64], values: npt.NDArray[np.float64], k: int
) -> npt.NDArray[np.float64]:
    return np.asarray(np.bincount(nearest, values, k), np.float64)


def _first(
    distances: npt.NDArray[np.float64], k: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Draw rows with probability proportional to their distance to those drawn before."""
    chosen = [int(distances.sum(axis=1).argmin())]
    nearest = distances[chosen[0]].copy()
    while len(chosen) < k:
        weights = nearest.copy()
        weights[chosen] = 0.0
        total = weights.sum()
        if total > 0:
            new = int(rng.choice(len(weights), p=weights / total))
        else:
            new = int(next(i for i in range(len(weights)) if i not in chosen))
        chosen.append(new)
        np.minimum(nearest, distances[new], out=nearest)
    return np.array(chosen, np.int64)
