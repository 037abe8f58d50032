"""Which family of learners gets the next trial: the one expected to improve at the least cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

__all__ = ["FamilyChoice", "FamilyRecord"]

# What a family with a single result is taken to gain by as much time again, as a share of the
# range of all results.
_FIRST_GAIN = 0.1


@dataclass
class FamilyRecord:
    """What a family has cost, and when it improved.

    Attributes
    ----------
    spent : float
        Cost of all of its trials.
    best : float
        Its least loss; infinite if it has none.
    at_best, at_second : float
        What it had cost when it found its best loss, and the best one before.
    gain : float or None
        Difference of these two losses; None before the first improvement.
    """

    spent: float = 0.0
    best: float = math.inf
    at_best: float = 0.0
    at_second: float = 0.0
    gain: float | None = None

    def report(self, loss: float | None) -> None:
        """Take note of a trial's loss, after its cost."""
        if loss is None or not loss < self.best:
            return
        if math.isfinite(self.best):
            self.gain = self.best - loss
            self.at_second = self.at_best
        self.best, self.at_best = loss, self.spent


@dataclass
class FamilyChoice:
    """Draws a family with a chance in inverse proportion to its estimated cost for improvement.

    That cost is what a family needs to improve on the best loss of all families: for the best one
    as much as its last improvement took, or as it has spent in vain since; for others at least as
    much as closing the gap takes at the rate of their last improvement.

    Attributes
    ----------
    names : sequence of str
    records : dict of str to FamilyRecord

    References
    ----------
    Wang, Wu, Weimer, Zhu (2021), "FLAML: a fast and lightweight AutoML library", section 4.2.
    """

    names: Sequence[str]
    records: dict[str, FamilyRecord] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.names:
            self.records.setdefault(name, FamilyRecord())

    def costs(self) -> Mapping[str, float]:
        """Return the estimated cost for improvement of each family; infinite if it only fails."""
        losses = [r.best for r in self.records.values() if math.isfinite(r.best)]
        if not losses:
            return dict.fromkeys(self.names, 1.0)
        best, span = min(losses), max(losses) - min(losses)
        return {name: _cost(self.records[name], best, span) for name in self.names}

    def draw(self, rng: np.random.Generator) -> str:
        """Return a family."""
        weights = np.array([1.0 / max(c, 1e-9) for c in self.costs().values()])
        return str(self.names[rng.choice(len(weights), p=weights / weights.sum())])


def _cost(record: FamilyRecord, best: float, span: float) -> float:
    if not math.isfinite(record.best):
        return math.inf
    waiting = max(record.spent - record.at_best, record.at_best - record.at_second)
    gap = record.best - best
    if gap <= 0:
        return waiting
    gain = record.gain or _FIRST_GAIN * span
    return max(waiting, gap * (record.spent - record.at_second) / gain)
