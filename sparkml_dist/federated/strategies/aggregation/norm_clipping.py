"""Long updates are shortened before they are averaged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.strategies.aggregation.aggregation import Aggregation
from sparkml_dist.federated.training.flat_model import Floats

__all__ = ["NormClipping"]


@dataclass(frozen=True)
class NormClipping(Aggregation):
    """The weighted mean of updates of a limited norm: a silo that lies moves it no further.

    Parameters
    ----------
    limit : float, optional
        Largest Euclidean norm; the median of the round's norms by default.

    References
    ----------
    Sun, Kairouz, Suresh, McMahan (2019), "Can you really backdoor federated learning?",
    arXiv:1911.07963.
    """

    limit: float | None = None

    name: ClassVar[str] = "normClipping"

    def check(self) -> None:
        """Raise ConfigurationError ``invalid_param`` for settings without meaning."""
        if self.limit is not None and not (self.limit > 0 and np.isfinite(self.limit)):
            raise ConfigurationError("invalid_param", f"limit must be > 0. Got {self.limit!r}.")

    def combine(self, updates: Floats, weights: Floats) -> Floats:
        """Return one update; see `Aggregation.combine`."""
        norms = np.sqrt((updates**2).sum(axis=1))
        limit = float(np.median(norms)) if self.limit is None else self.limit
        factors = np.minimum(1.0, limit / np.maximum(norms, np.finfo(np.float64).tiny))
        return np.asarray((weights * factors) @ updates / weights.sum())
