"""Convex weights of an ensemble with the least loss on held-out rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["mixture_weights", "simplex_least_squares"]

_MAX_STEPS = 20_000
# Stop once further steps could gain at most this much mean log-likelihood, in nats.
_TOLERANCE = 1e-9


def mixture_weights(
    given: npt.NDArray[Any], weight: npt.NDArray[np.float64], *, steps: int = _MAX_STEPS
) -> npt.NDArray[np.float64]:
    """Return the weights of the mixture with the least log loss.

    Expectation maximisation: a learner's new weight is its mean share of the mixture's probability
    of the true class. The log loss is convex in the weights, and no step increases it.

    Parameters
    ----------
    given : ndarray of shape (n, n_learners)
        Each learner's probability of the true class.
    weight : ndarray of shape (n,)
        Row weights.
    steps : int, default=20000
        Largest number of steps.

    Returns
    -------
    ndarray of shape (n_learners,)
        Non-negative, with sum 1.

    References
    ----------
    Jordan, Jacobs (1994), "Hierarchical mixtures of experts and the EM algorithm"; Cover (1984),
    "An algorithm for maximizing expected log investment return", for the stopping bound.
    """
    p = np.maximum(np.asarray(given, np.float64), np.finfo(float).eps)
    v = weight / weight.sum()
    w = np.full(p.shape[1], 1.0 / p.shape[1])
    for _ in range(steps):
        gain = (v / (p @ w)) @ p
        w = w * gain
        w /= w.sum()
        # log(max gain) bounds the distance of the mean log-likelihood from its maximum.
        if np.log(gain.max()) <= _TOLERANCE:
            break
    return w


def simplex_least_squares(
    moments: npt.NDArray[np.float64], *, steps: int = _MAX_STEPS
) -> npt.NDArray[np.float64]:
    """Return the convex weights of the mean with the least squared error.

    With weights of sum 1, the error of the mean is the mean of the errors, so the errors' second
    moments suffice. The method is the accelerated projected gradient.

    Parameters
    ----------
    moments : ndarray of shape (n_learners, n_learners)
        Mean product of the errors of each two learners.
    steps : int, default=20000
        Largest number of steps.

    Returns
    -------
    ndarray of shape (n_learners,)
        Non-negative, with sum 1.

    References
    ----------
    Perrone, Cooper (1993), "When networks disagree". Breiman (1996), "Stacked regressions".
    Beck, Teboulle (2009), "A fast iterative shrinkage-thresholding algorithm".
    """
    scale = float(np.trace(moments))
    n = len(moments)
    w = np.full(n, 1.0 / n)
    if scale <= 0:
        return w
    c = moments / scale
    step = 1.0 / float(np.linalg.eigvalsh(c)[-1])
    ahead, t = w.copy(), 1.0
    for _ in range(steps):
        new = _onto_simplex(ahead - step * (c @ ahead))
        if float((ahead - new) @ (new - w)) > 0:  # it has overshot: restart the acceleration
            t = 1.0
        t_new = (1 + np.sqrt(1 + 4 * t * t)) / 2
        ahead = new + (t - 1) / t_new * (new - w)
        w, t = new, t_new
        gradient = c @ w
        if float(w @ gradient - gradient.min()) <= _TOLERANCE * 1e-3:
            break
    return w


def _onto_simplex(v: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the nearest non-negative point with sum 1 (Held, Wolfe, Crowder 1974)."""
    ordered = np.sort(v)[::-1]
    excess = np.cumsum(ordered) - 1.0
    last = np.flatnonzero(ordered - excess / np.arange(1, len(v) + 1) > 0)[-1]
    return np.maximum(v - excess[last] / (last + 1), 0.0)
