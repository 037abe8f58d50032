"""The median of each coordinate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkml_dist.federated.strategies.aggregation.aggregation import Aggregation
from sparkml_dist.federated.training.flat_model import Floats

__all__ = ["CoordinateMedian"]


@dataclass(frozen=True)
class CoordinateMedian(Aggregation):
    """The median over silos of each parameter's change; bears fewer than half that lie.

    References
    ----------
    Yin, Chen, Ramchandran, Bartlett (2018), "Byzantine-robust distributed learning: towards optimal
    statistical rates", arXiv:1803.01498.
    """

    name: ClassVar[str] = "median"

    def combine(self, updates: Floats, weights: Floats) -> Floats:
        """Return one update; see `Aggregation.combine`."""
        return np.asarray(np.median(updates, axis=0))
