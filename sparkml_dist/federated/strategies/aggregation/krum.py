"""The update, or the updates, nearest to the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sparkml_dist.federated.strategies.aggregation.aggregation import (
    Aggregation,
    check_faults,
    most_faults,
)
from sparkml_dist.federated.training.flat_model import Floats

__all__ = ["Krum", "MultiKrum", "distances", "krum_scores"]


def distances(updates: Floats) -> Floats:
    """Return the squared distances of all pairs of updates, shape (m, m)."""
    return np.stack([((updates - own) ** 2).sum(axis=1) for own in updates])


def krum_scores(between: Floats, faults: int) -> Floats:
    """Return each update's sum of squared distances to its m - faults - 2 nearest others.

    Parameters
    ----------
    between : ndarray, shape (m, m)
        Squared distances.
    faults : int
    """
    others = np.sort(between + np.diag(np.full(len(between), np.inf)), axis=1)
    return np.asarray(others[:, : max(1, len(between) - faults - 2)].sum(axis=1))


@dataclass(frozen=True)
class Krum(Aggregation):
    """The one update that is nearest to its neighbours; bears f that lie among 2 f + 3.

    Parameters
    ----------
    faults : int, optional
        How many may lie; as many as the rule bears by default.

    References
    ----------
    Blanchard, El Mhamdi, Guerraoui, Stainer (2017), "Machine learning with adversaries: Byzantine
    tolerant gradient descent", NeurIPS 30.
    """

    faults: int | None = None

    name: ClassVar[str] = "krum"

    def check(self) -> None:
        """Raise ConfigurationError ``invalid_param`` for settings without meaning."""
        check_faults(self.faults)

    def _faults(self, silos: int) -> int:
        return most_faults(self.faults, silos, (silos - 3) // 2, "Krum", "2 faults + 3 silos")

    def combine(self, updates: Floats, weights: Floats) -> Floats:
        """Return one update; see `Aggregation.combine`."""
        scores = krum_scores(distances(updates), self._faults(len(updates)))
        return updates[int(np.argmin(scores))]


@dataclass(frozen=True)
class MultiKrum(Krum):
    """The mean of the updates with the best scores of `Krum`: of all but `faults`."""

    name: ClassVar[str] = "multiKrum"

    def combine(self, updates: Floats, weights: Floats) -> Floats:
        """Return one update; see `Aggregation.combine`."""
        faults = self._faults(len(updates))
        best = np.argsort(krum_scores(distances(updates), faults), kind="stable")
        return np.asarray(updates[np.sort(best[: len(updates) - faults])].mean(axis=0))
