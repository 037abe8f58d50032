"""The score of a growing ensemble after each member, and when it has stopped improving."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from sparkml_dist.metrics.scores import is_better

__all__ = ["ScoreCurve"]


@dataclass
class ScoreCurve:
    """Scores after 1, 2, … members.

    Attributes
    ----------
    metric : str
    tol : float
        Smallest improvement that counts.
    patience : int
        Members without such an improvement before the sequence stops.
    scores : list of float
    """

    metric: str
    tol: float
    patience: int
    scores: list[float] = field(default_factory=list)
    _best: float = math.nan
    _idle: int = 0

    def add(self, score: float) -> bool:
        """Add the score after one more member; return whether to stop."""
        self.scores.append(score)
        if math.isnan(self._best) or is_better(self.metric, score, self._best, self.tol):
            self._best, self._idle = score, 0
        else:
            self._idle += 1
        return self._idle >= self.patience

    @property
    def best(self) -> int:
        """Number of members with the best score; 0 if there is no score."""
        found = 0
        for i, score in enumerate(self.scores):
            known = not math.isnan(score)
            if known and (not found or is_better(self.metric, score, self.scores[found - 1])):
                found = i + 1
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the curve for a model's summary."""
        return {"metric": self.metric, "scores": self.scores, "best": self.best}
