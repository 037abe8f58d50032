"""Accelerated proximal gradients (FISTA) with backtracking and restarts, for L1 penalties.

References
----------
Beck, Teboulle (2009), "A fast iterative shrinkage-thresholding algorithm for linear inverse
problems", SIAM Journal on Imaging Sciences 2. O'Donoghue, Candès (2015), "Adaptive restart for
accelerated gradient schemes".
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from sparkml_dist.statistics.minimum import Minimum

__all__ = ["fista", "soft"]

Array = npt.NDArray[np.float64]


def soft(x: Array, threshold: Array) -> Array:
    """Return x, moved towards 0 by a threshold."""
    return np.asarray(np.sign(x) * np.maximum(np.abs(x) - threshold, 0.0))


def fista(
    objective: Callable[[Array], tuple[float, Array]],
    begin: Array,
    l1: Array,
    *,
    tol: float,
    max_iter: int,
) -> Minimum:
    """Minimize a smooth function plus ``sum(l1 * |x|)``.

    Parameters
    ----------
    objective : callable
        Returns value and gradient of the smooth part; one pass over the data.
    begin : ndarray of shape (p,)
    l1 : ndarray of shape (p,)
    tol : float
        Ends when the generalized gradient is at most this share of its first length.
    max_iter : int

    Returns
    -------
    Minimum
    """
    x, ahead, momentum = begin.copy(), begin.copy(), 1.0
    bound, first, share = 1.0, None, np.inf  # of the curvature
    for iteration in range(1, max_iter + 1):
        value, gradient = objective(ahead)
        while True:
            new = soft(ahead - gradient / bound, l1 / bound)
            move = new - ahead
            # The next value is needed by the next iteration too, but at another point.
            reached, _ = objective(new)
            model = value + float(gradient @ move) + bound / 2 * float(move @ move)
            if reached <= model + 1e-12 * abs(value) or bound > 1e300:
                break
            bound *= 2.0
        length = bound * float(np.linalg.norm(move))
        first = first or length
        share = length / first if first else 0.0
        if share <= tol:
            rule = f"the generalized gradient is {share:.1e} of its first length (tol={tol:g})"
            return Minimum(new, iteration, True, rule)
        following = (1 + np.sqrt(1 + 4 * momentum * momentum)) / 2
        if float((ahead - new) @ (new - x)) > 0:  # the momentum leads uphill: again without
            following = momentum = 1.0
        ahead = new + (momentum - 1) / following * (new - x)
        x, momentum = new, following
        bound *= 0.9
    rule = f"maxIter={max_iter} was reached; the generalized gradient is {share:.1e} of its first"
    return Minimum(x, max_iter, False, rule)
