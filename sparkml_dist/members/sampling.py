"""Bags: which rows and features a member gets, as functions of row key, seed and member."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.hashing import salt, uniform, xxhash64
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.params import is_share_or_count, share_of

__all__ = ["METHODS", "Method", "Sampling", "feature_subset", "member_seed", "poisson_counts"]

Method = Literal["bagging", "pasting", "subspaces", "patches", "balanced"]
METHODS: tuple[Method, ...] = ("bagging", "pasting", "subspaces", "patches", "balanced")

_DEFAULT_SAMPLES = {"patches": 0.7}
_DEFAULT_FEATURES = {"subspaces": 0.5, "patches": 0.5}
# Rows of a smaller class are drawn several times, so that a balanced bag is not too small.
_LEAST_BALANCED = 128


@dataclass(frozen=True)
class Sampling:
    """How the rows and features of a member are drawn from its shards.

    Attributes
    ----------
    method : {"bagging", "pasting", "subspaces", "patches", "balanced"}
        With replacement (Breiman 1996); without (Breiman 1999); all rows and some features (Ho
        1998); some rows and some features (Louppe and Geurts 2012); with replacement, equally many
        rows of each class (Chen, Liaw and Breiman 2004).
    max_samples : float or int
        Expected rows of a bag, as a share (float) or a number (int) of the shards' rows; `sized`
        converts a number to a share.
    max_features : float or int
        Features of a member, as a share of all or as a number.
    """

    method: Method
    max_samples: float | int
    max_features: float | int

    @classmethod
    def of(
        cls, method: str, max_samples: float | None = None, max_features: float | None = None
    ) -> Sampling:
        """Check the settings and fill in the defaults of a method.

        Raises
        ------
        ConfigurationError
            ``invalid_param``.
        """
        if method not in METHODS:
            raise ConfigurationError(
                "invalid_param", f"method must be one of {', '.join(METHODS)}. Got {method!r}."
            )
        samples = _DEFAULT_SAMPLES.get(method, 1.0) if max_samples is None else max_samples
        features = _DEFAULT_FEATURES.get(method, 1.0) if max_features is None else max_features
        for name, value in (("samples", samples), ("features", features)):
            if not is_share_or_count(value):
                raise ConfigurationError(
                    "invalid_param",
                    f"max{name.title()} must be a share in (0, 1], or a whole number >= 1. "
                    f"Got {value!r}.",
                )
        if method == "balanced" and isinstance(samples, int):
            raise ConfigurationError(
                "invalid_param",
                f"With method='balanced', maxSamples must be a share in (0, 1]. Got {samples!r}.",
                "A balanced bag is as large as its rarest class allows.",
            )
        return cls(method, samples, features)

    def sized(self, rows: int) -> Sampling:
        """Return the sampling for shards with `rows` rows, with `max_samples` as a share."""
        return replace(self, max_samples=share_of(self.max_samples, rows))

    @property
    def replaces(self) -> bool:
        """Whether rows are drawn with replacement."""
        return self.method in ("bagging", "balanced")

    def class_rates(self, class_rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64] | None:
        """Return how often a bag holds a row of each class on average; None if not balanced.

        Parameters
        ----------
        class_rows : ndarray of int64, shape (n_classes,)
            Rows of each class among those that the bag is drawn from.

        Returns
        -------
        ndarray of shape (n_classes,) or None
            Rates that give each class as many expected rows as the rarest one has, or 128 if that
            is more; 0 for classes without rows.
        """
        if self.method != "balanced":
            return None
        there = class_rows[class_rows > 0]
        wanted = min(max(there.min(), _LEAST_BALANCED), there.max()) * self.max_samples
        return np.divide(wanted, class_rows, out=np.zeros(len(class_rows)), where=class_rows > 0)

    def features(self, n_features: int, seed: int, member: int) -> npt.NDArray[np.int64] | None:
        """Return the features of a member, sorted, shape (k,); None for all."""
        count = max(1, round(share_of(self.max_features, n_features) * n_features))
        if count == n_features:
            return None
        return feature_subset(n_features, count, seed, member)

    def kept(
        self, key: npt.NDArray[np.int64], seed: int, member: int
    ) -> npt.NDArray[np.bool_] | None:
        """Return which rows a member draws without replacement, shape (n,); None for all."""
        if self.replaces or self.max_samples == 1.0:
            return None
        return uniform(key, seed, "paste", member) < self.max_samples


def poisson_counts(
    key: npt.NDArray[np.int64], rate: float | npt.NDArray[Any], seed: int, member: int
) -> npt.NDArray[np.int64]:
    """Return how often a bag holds each row: independent Poisson draws.

    The limit of the bootstrap for many rows; it does not depend on other rows (Oza and
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
