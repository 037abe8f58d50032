"""k-means over silos: Lloyd's iterations by sums, from centres that silos propose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import DataError

if TYPE_CHECKING:
    from sparkml_dist.federated.federation import Federation

__all__ = ["Centers", "federated_centers"]

_RANGES = {"sizes": 1e9, "sums": 1e12, "cost": 1e12}

_EPSILON = 16 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Centers:
    """Centres of clusters.

    Attributes
    ----------
    centers : ndarray of float64, shape (k, n_features)
    sizes : ndarray of float64, shape (k,)
        Rows of each cluster.
    inertia : float
        Summed squared distances of the rows from their centres.
    iterations : int
    converged : bool
    """

    centers: npt.NDArray[np.float64]
    sizes: npt.NDArray[np.float64]
    inertia: float
    iterations: int
    converged: bool


def federated_centers(
    federation: Federation,
    k: int,
    *,
    start: npt.ArrayLike | None = None,
    max_iter: int = 100,
    tol: float = 0.0,
    least_rows: int = 5,
    sample_rows: int = 10_000,
    seed: int = 0,
    minimum: int = 1,
    secure: Any = None,
) -> Centers:
    """Return the centres that Lloyd's iterations find on the rows of all silos.

    Silos first send centres of clusters of their own, with the number of their rows, and the
    coordinator clusters these. Each iteration then adds up rows by their nearest centre, as k-means
    on all rows in one place does from the same start. A centre without rows stays where it is.

    Parameters
    ----------
    federation : Federation
    k : int
    start : array-like of shape (k, n_features), optional
        Centres to start from; those of the silos by default.
    max_iter : int, default=100
    tol : float, default=0.0
        Largest movement of a centre after which the iterations end.
    least_rows : int, default=5
        Rows of a silo's cluster whose centre is sent.
    sample_rows : int, default=10000
        Rows of a silo that are clustered for the start.
    seed : int, default=0
    minimum : int, default=1
        Silos that must answer.
    secure : SecureSum, optional
        For the sums; the centres of the start are sent as they are.

    Raises
    ------
    DataError
        ``too_few_rows``.

    References
    ----------
    Dennis, Li, Smith (2021), "Heterogeneity for the win: one-shot federated clustering", for the
    start; Lloyd (1982), "Least squares quantization in PCM".
    """
    if start is None:
        start = _proposed(federation, k, least_rows, sample_rows, seed, minimum)
    centers = np.array(start, np.float64)
    width = federation.schema.n_features
    if centers.shape != (k, width) or not np.isfinite(centers).all():
        raise DataError(
            "too_few_rows" if len(centers) < k else "not_finite",
            f"k-means starts from {k} centres of {width} numbers. Got the shape {centers.shape}.",
            "Ask for fewer clusters, or give a start.",
        )
    converged, iterations = False, 0
    while not converged and iterations < max_iter:
        iterations += 1
        summed = _sums(federation, centers, minimum, secure)
        filled = summed["sizes"] > 0
        moved = np.zeros_like(centers)
        moved[filled] = summed["sums"][filled] / summed["sizes"][filled, None]
        centers = centers + moved
        # Sums of differences that cancel leave a remainder of rounding.
        rounding = _EPSILON * float(np.abs(centers).max(initial=0.0))
        converged = float(np.sqrt((moved**2).sum(axis=1)).max()) <= max(tol, rounding)
    summed = _sums(federation, centers, minimum, secure)
    return Centers(centers, summed["sizes"], float(summed["cost"][0]), iterations, converged)


def _sums(federation: Federation, centers: npt.NDArray[Any], minimum: int, secure: Any) -> Any:
    return federation.sum(
        "center_sums",
        arrays={"centers": centers},
        minimum=minimum,
        secure=secure,
        ranges=_RANGES,
    ).arrays


def _proposed(
    federation: Federation, k: int, least: int, sample: int, seed: int, minimum: int
) -> npt.NDArray[np.float64]:
    """Return centres of the silos' own centres, weighted by their rows."""
    from sklearn.cluster import KMeans

    facts = {"k": k, "least_rows": least, "sample_rows": sample}
    centers, sizes = [], []
    for _, answer in federation.ask("center_candidates", facts, minimum=minimum):
        centers.append(answer.arrays["centers"])
        sizes.append(answer.arrays["sizes"])
    points, weight = np.concatenate(centers), np.concatenate(sizes)
    distinct = len(np.unique(points, axis=0))
    if distinct < k or not (weight > 0).all():
        raise DataError(
            "too_few_rows",
            f"{k} clusters were asked for, and the silos have {distinct} of {least} rows or more.",
            "Ask for fewer clusters, or for smaller ones of a silo (leastRows).",
        )
    found = KMeans(k, n_init=10, random_state=seed).fit(points, sample_weight=weight)
    return np.asarray(found.cluster_centers_, np.float64)
