"""Minimizes a quadratic with L1 and L2 penalties, coordinate by coordinate.

References
----------
Friedman, Hastie, Tibshirani (2010), "Regularization paths for generalized linear models via
coordinate descent", Journal of Statistical Software 33.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["penalized_quadratic"]

Array = npt.NDArray[np.float64]

_SWEEPS = 10_000


def penalized_quadratic(
    gram: Array, linear: Array, beta: Array, l1: Array, l2: Array, tol: float = 1e-12
) -> Array:
    """Return the b that minimizes ``b'Gb/2 - c'b + sum(l1*|b|) + sum(l2*b**2)/2``.

    Parameters
    ----------
    gram, linear : ndarray of shape (p, p) and (p,)
        G and c.
    beta : ndarray of shape (p,)
        Where to begin.
    l1, l2 : ndarray of shape (p,)
        Penalties.
    tol : float, default=1e-12
        Ends when no coordinate changes by more than this share of the largest one, both measured
        by their effect on the quadratic.

    Returns
    -------
    ndarray of shape (p,)
    """
    found = beta.astype(np.float64, copy=True)
    diagonal = np.diag(gram)
    whole = diagonal + l2
    length = np.sqrt(np.maximum(whole, 1e-300))
    gradient = gram @ found - linear  # of the quadratic
    everything = np.flatnonzero(whole > 0)
    active = everything
    full = True
    for _ in range(_SWEEPS):
        change = 0.0
        for j in active:
            old = found[j]
            target = diagonal[j] * old - gradient[j]
            size = abs(target) - l1[j]
            new = np.sign(target) * size / whole[j] if size > 0 else 0.0
            if new != old:
                gradient += gram[:, j] * (new - old)
                found[j] = new
                change = max(change, abs(new - old) * length[j])
        if change <= tol * max(1e-300, float(np.max(np.abs(found) * length, initial=0.0))):
            if full:
                break
            active, full = everything, True
        else:
            active, full = np.flatnonzero((found != 0) & (whole > 0)), False
    return found
