"""The silo of each row in a simulation, as a function of its key and a seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.hashing import salt, uniform
from sparkml_dist.errors import ConfigurationError

__all__ = ["class_shares", "feature_shift", "label_skew", "placed", "quantity_skew"]

_PURPOSE = "silo"
Shares = npt.NDArray[np.float64]


def class_shares(n_classes: int, n_silos: int, alpha: float, seed: int) -> Shares:
    """Return the shares of each class that silos get, shape (n_classes, n_silos).

    Parameters
    ----------
    n_classes : int
    n_silos : int
    alpha : float
        Of the symmetric Dirichlet distribution; small numbers give each class to few silos.
    seed : int

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if n_silos < 1 or not alpha > 0:
        raise ConfigurationError(
            "invalid_param",
            f"A simulation needs one silo or more, and alpha > 0. Got {n_silos} and {alpha}.",
        )
    logs = np.empty((n_classes, n_silos))
    for code in range(n_classes):  # of each on its own, whatever other classes there are
        rng = np.random.default_rng([seed, salt(_PURPOSE) % 2**32, code])
        # Gammas in logarithms: for a small alpha all of them may be 0 in double precision.
        logs[code] = np.log(rng.gamma(alpha + 1, size=n_silos))
        logs[code] += np.log(rng.random(n_silos)) / alpha
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def placed(u: npt.NDArray[np.float64], shares: Shares, row: Any = 0) -> npt.NDArray[np.int64]:
    """Return the silo of each row with a uniform number `u`, by the shares of its class.

    Parameters
    ----------
    u : ndarray of float64, shape (n,)
    shares : ndarray, shape (n_classes, n_silos)
    row : int or ndarray of int, shape (n,)
        The class of each row.
    """
    ends = np.cumsum(shares, axis=1)
    found = np.empty(len(u), np.int64)
    classes = np.broadcast_to(np.asarray(row, np.int64), (len(u),))
    for code in np.unique(classes):
        own = classes == code
        found[own] = np.searchsorted(ends[code], u[own], side="right")
    return np.minimum(found, shares.shape[1] - 1)


def label_skew(
    key: npt.ArrayLike, label: npt.ArrayLike, n_silos: int, *, alpha: float = 0.5, seed: int = 0
) -> npt.NDArray[np.int64]:
    """Return a silo for each row: each class is spread over silos by a Dirichlet distribution.

    Parameters
    ----------
    key : array-like of int64, shape (n,)
        Row keys.
    label : array-like, shape (n,)
    n_silos : int
    alpha : float, default=0.5
        Small numbers give each class to few silos; large ones to all alike.
    seed : int, default=0

    Returns
    -------
    ndarray of int64, shape (n,)
        From 0 to ``n_silos - 1``.

    References
    ----------
    Hsu, Qi, Brown (2019), "Measuring the effects of non-identical data distribution for federated
    visual classification".
    """
    classes, codes = np.unique(np.asarray(label), return_inverse=True)
    shares = class_shares(len(classes), n_silos, alpha, seed)
    return placed(uniform(key, seed, _PURPOSE), shares, codes)


def quantity_skew(
    key: npt.ArrayLike, n_silos: int, *, alpha: float = 0.5, seed: int = 0
) -> npt.NDArray[np.int64]:
    """Return a silo for each row: silos have numbers of rows by a Dirichlet distribution.

    Parameters
    ----------
    key : array-like of int64, shape (n,)
    n_silos : int
    alpha : float, default=0.5
        Small numbers give most rows to few silos.
    seed : int, default=0
    """
    return placed(uniform(key, seed, _PURPOSE), class_shares(1, n_silos, alpha, seed))


def feature_shift(
    key: npt.ArrayLike,
    values: npt.ArrayLike,
    n_silos: int,
    *,
    shift: float = 0.8,
    seed: int = 0,
    cuts: npt.ArrayLike | None = None,
) -> npt.NDArray[np.int64]:
    """Return a silo for each row: silos have different ranges of a feature.

    With the probability `shift`, a row goes to the silo of its range, otherwise to any.

    Parameters
    ----------
    key : array-like of int64, shape (n,)
    values : array-like of float, shape (n,)
        The feature; rows without a value go to any silo.
    n_silos : int
    shift : float, default=0.8
        0: no silo differs; 1: silos do not overlap.
    seed : int, default=0
    cuts : array-like, shape (n_silos - 1,), optional
        Ends of the ranges; quantiles of the values by default.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if not 0 <= shift <= 1:
        raise ConfigurationError("invalid_param", f"shift must be from 0 to 1. Got {shift}.")
    even = np.full((1, n_silos), 1 / n_silos)
    anywhere = placed(uniform(key, seed, _PURPOSE), even)
    numbers = np.asarray(values, np.float64)
    known = np.isfinite(numbers)
    if cuts is None:
        wanted = np.arange(1, n_silos) / n_silos
        cuts = np.quantile(numbers[known], wanted) if known.any() else np.zeros(n_silos - 1)
    by_range = np.searchsorted(np.asarray(cuts, np.float64), numbers, side="right")
    stays = known & (uniform(key, seed, _PURPOSE, 1) < shift)
    return np.where(stays, by_range, anywhere)
