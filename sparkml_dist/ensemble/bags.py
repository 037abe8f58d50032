"""Bags: which rows and features a member sees, as functions of row key, seed and member."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.hashing import salt, uniform, xxhash64
from sparkml_dist.errors import ConfigurationError

__all__ = ["METHODS", "Method", "Sampling", "feature_subset", "member_seed", "poisson_counts"]

Method = Literal["bagging", "pasting", "subspaces", "patches"]
METHODS: tuple[Method, ...] = ("bagging", "pasting", "subspaces", "patches")

_DEFAULT_SAMPLES = {"bagging": 1.0, "pasting": 1.0, "subspaces": 1.0, "patches": 0.7}
_DEFAULT_FEATURES = {"bagging": 1.0, "pasting": 1.0, "subspaces": 0.5, "patches": 0.5}


@dataclass(frozen=True)
class Sampling:
    """How the rows and features of a member are drawn from its shards.

    Attributes
    ----------
    method : {"bagging", "pasting", "subspaces", "patches"}
        With replacement (Breiman 1996); without (Breiman 1999); all rows and some features (Ho
        1998); some rows and some features (Louppe and Geurts 2012).
    max_samples : float
        Expected rows of a bag as a share of the shards' rows.
    max_features : float
        Features of a member as a share of all.
    """

    method: Method
    max_samples: float
    max_features: float

    @classmethod
    def of(
        cls, method: str, max_samples: float | None = None, max_features: float | None = None
    ) -> Sampling:
        """Check the settings and fill in what a method takes by default.

        Raises
        ------
        ConfigurationError
            ``invalid_method``, ``invalid_max_samples`` or ``invalid_max_features``.
        """
        if method not in METHODS:
            raise ConfigurationError(
                "invalid_method", f"method must be one of {', '.join(METHODS)}. Got {method!r}."
            )
        samples = _DEFAULT_SAMPLES[method] if max_samples is None else max_samples
        features = _DEFAULT_FEATURES[method] if max_features is None else max_features
        if not 0 < samples <= 1:
            raise ConfigurationError(
                "invalid_max_samples", f"maxSamples must be in (0, 1]. Got {samples!r}."
            )
        if not 0 < features <= 1:
            raise ConfigurationError(
                "invalid_max_features", f"maxFeatures must be in (0, 1]. Got {features!r}."
            )
        return cls(method, float(samples), float(features))

    @property
    def replaces(self) -> bool:
        """Whether rows are drawn with replacement."""
        return self.method == "bagging"

    def features(self, n_features: int, seed: int, member: int) -> npt.NDArray[np.int64] | None:
        """Return the features of a member, sorted, shape (k,); None for all of them."""
        count = max(1, round(self.max_features * n_features))
        if count == n_features:
            return None
        return feature_subset(n_features, count, seed, member)

    def kept(
        self, key: npt.NDArray[np.int64], seed: int, member: int
    ) -> npt.NDArray[np.bool_] | None:
        """Return which rows a member keeps without replacement, shape (n,); None for all."""
        if self.replaces or self.max_samples == 1.0:
            return None
        return uniform(key, seed, "paste", member) < self.max_samples


def poisson_counts(
    key: npt.NDArray[np.int64], rate: float | npt.NDArray[Any], seed: int, member: int
) -> npt.NDArray[np.int64]:
    """Return how often a bag holds each row: independent Poisson draws.

    The limit of the bootstrap for many rows, which needs no knowledge of other rows (Oza and
    Russell 2001, "Online bagging and boosting").

    Parameters
    ----------
    key : ndarray of int64, shape (n,)
    rate : float or ndarray of shape (n,)
        Expected count of each row.
    seed, member : int

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    u = uniform(key, seed, "bag", member)
    if np.ndim(rate) == 0:
        return np.searchsorted(_poisson_cdf(float(rate)), u, side="right")
    from scipy.stats import poisson

    return np.asarray(poisson.ppf(u, rate), dtype=np.float64).clip(min=0).astype(np.int64)


@cache
def _poisson_cdf(rate: float) -> npt.NDArray[np.float64]:
    from scipy.stats import poisson

    last = int(poisson.ppf(1 - 1e-16, rate)) + 1
    return np.asarray(poisson.cdf(np.arange(last + 1), rate), dtype=np.float64)


def feature_subset(n_features: int, count: int, seed: int, member: int) -> npt.NDArray[np.int64]:
    """Return `count` features drawn without replacement, sorted, shape (count,)."""
    draws = uniform(np.arange(n_features), seed, "features", member)
    return np.sort(np.argsort(draws, kind="stable")[:count])


def member_seed(seed: int, member: int) -> int:
    """Return the ``random_state`` of a member, in [0, 2**31)."""
    return int(xxhash64(seed, salt("member"), member)[0] >> np.uint64(33))
