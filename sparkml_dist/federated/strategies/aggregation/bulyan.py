"""Krum's choice, trimmed in each coordinate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkml_dist.federated.strategies.aggregation.aggregation import most_faults
from sparkml_dist.federated.strategies.aggregation.krum import Krum, distances, krum_scores
from sparkml_dist.federated.training.flat_model import Floats

__all__ = ["Bulyan"]


@dataclass(frozen=True)
class Bulyan(Krum):
    """Chooses all but 2 f updates by `Krum`, one after the other; of these, the mean of the values
    nearest to the median in each coordinate, without another 2 f. Bears f that lie among 4 f + 3,
    also where they hide in single coordinates.

    References
    ----------
    El Mhamdi, Guerraoui, Rouault (2018), "The hidden vulnerability of distributed learning in
    Byzantium", arXiv:1802.07927.
    """

    name: ClassVar[str] = "bulyan"

    def _faults(self, silos: int) -> int:
        return most_faults(self.faults, silos, (silos - 3) // 4, "Bulyan", "4 faults + 3 silos")

    def combine(self, updates: Floats, weights: Floats) -> Floats:
        """Return one update; see `Aggregation.combine`."""
        faults = self._faults(len(updates))
        between, left = distances(updates), list(range(len(updates)))
        chosen: list[int] = []
        while len(chosen) < len(updates) - 2 * faults:
            scores = krum_scores(between[np.ix_(left, left)], faults)
            chosen.append(left.pop(int(np.argmin(scores))))
        values = updates[np.sort(chosen)]
        kept = len(values) - 2 * faults
        away = np.abs(values - np.median(values, axis=0))
        near = np.argsort(away, axis=0, kind="stable")[:kept]
        return np.asarray(np.take_along_axis(values, near, axis=0).mean(axis=0))
