"""The mean of each coordinate without its largest and smallest values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.strategies.aggregation.aggregation import Aggregation
from sparkml_dist.federated.training.flat_model import Floats

__all__ = ["TrimmedMean"]


@dataclass(frozen=True)
class TrimmedMean(Aggregation):
    """The mean of each parameter's changes without a share of the largest and of the smallest.

    Parameters
    ----------
    share : float, default=0.2
        Share of the silos that is left out at each end, rounded down (>= 0, < 0.5); that many may
        lie.

    References
    ----------
    Yin, Chen, Ramchandran, Bartlett (2018), arXiv:1803.01498.
    """

    share: float = 0.2

    name: ClassVar[str] = "trimmedMean"

    def check(self) -> None:
        """Raise ConfigurationError ``invalid_param`` for settings without meaning."""
        if not 0 <= self.share < 0.5:
            raise ConfigurationError(
                "invalid_param", f"share must be >= 0 and < 0.5. Got {self.share!r}."
            )

    def combine(self, updates: Floats, weights: Floats) -> Floats:
        """Return one update; see `Aggregation.combine`."""
        out = int(self.share * len(updates) + 1e-9)
        return np.asarray(np.sort(updates, axis=0)[out : len(updates) - out].mean(axis=0))
