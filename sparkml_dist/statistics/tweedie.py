"""The density of Tweedie distributions between the Poisson and the gamma, by its series.

References
----------
Dunn, Smyth (2005), "Series evaluation of Tweedie exponential dispersion model densities",
Statistics and Computing 15.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["tweedie_log_density"]

Array = npt.NDArray[np.float64]

_SLICE = 1 << 20  # terms in memory
# Terms further away than this many deviations from the largest one are below e-40 of it.
_WIDTH, _MORE = 9.0, 30


def tweedie_log_density(y: Array, mu: Array, power: float, dispersion: float) -> Array:
    """Return the logarithm of the density of each value.

    A Tweedie variable of a power between 1 and 2 is the sum of a Poisson number of gamma variables;
    the series is over that number, around its largest term.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Not below 0; at 0 it is a probability.
    mu : ndarray of shape (n,)
        Means.
    power : float
        Above 1 and below 2.
    dispersion : float

    Returns
    -------
    ndarray of shape (n,)
    """
    from scipy.special import gammaln, logsumexp

    rate = np.power(mu, 2 - power) / (dispersion * (2 - power))
    shape = (2 - power) / (power - 1)
    scale = dispersion * (power - 1) * np.power(mu, power - 1)
    found = -rate
    positive = np.flatnonzero(y > 0)
    middle = np.power(y[positive], 2 - power) / (dispersion * (2 - power))
    order = np.argsort(middle)  # neighbours have series of about the same length
    start = 0
    while start < len(order):
        width = _MORE + int(_WIDTH * np.sqrt(middle[order[start]] / (1 + shape)))
        some = order[start : start + max(1, _SLICE // (8 * width))]
        width = _MORE + int(_WIDTH * np.sqrt(middle[some[-1]] / (1 + shape)))
        if len(some) > 1 and len(some) * width > _SLICE:
            some = some[:1]
            width = _MORE + int(_WIDTH * np.sqrt(middle[some[0]] / (1 + shape)))
        start += len(some)
        rows = positive[some]
        first = np.maximum(np.floor(middle[some]) - width, 1)
        n = first[:, None] + np.arange(2 * width + 2)
        value, jumps = y[rows], n * shape
        terms = n * np.log(rate[rows])[:, None] - gammaln(n + 1)
        terms += jumps * np.log(value / scale[rows])[:, None] - gammaln(jumps)
        found[rows] += logsumexp(terms, axis=1) - np.log(value) - value / scale[rows]
    return found
