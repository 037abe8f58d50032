"""What all tasks of a boosting fit need, and how they fit the member of a round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.ensemble.member_maker import MemberMaker
from sparkml_dist.ensemble.waves import Stopping
from sparkml_dist.members.weighted_rows import weighted_rows

__all__ = ["BoostingJob", "WeightedRows"]


@dataclass(frozen=True)
class WeightedRows:
    """Rows that the member of a round learns from.

    Attributes
    ----------
    X : ndarray or csr_matrix, shape (n, d)
        In the form that the learner takes.
    y : ndarray of shape (n,)
    weight : ndarray of float64, shape (n,)
    key : ndarray of int64, shape (n,)
    """

    X: Any
    y: npt.NDArray[Any]
    weight: npt.NDArray[np.float64]
    key: npt.NDArray[np.int64]


@dataclass(frozen=True)
class BoostingJob(MemberMaker):
    """A boosting fit, as sent to tasks; see `MemberMaker` for the other attributes.

    Attributes
    ----------
    rounds : int
        Largest number of members of one sequence.
    rate : float
        Learning rate.
    stopping : Stopping or None
        When to stop before all rounds are done, and which rows are held out for it.
    """

    rounds: int
    rate: float
    stopping: Stopping | None = None

    def learns(self, key: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Return which rows members may learn from, shape (n,)."""
        if self.stopping is None:
            return np.ones(len(key), bool)
        return ~self.stopping.held_out.mask(key)

    def fit_member(
        self, number: int, shards: Sequence[int], rows: WeightedRows, memory: PeakMemory
    ) -> Any:
        """Fit and commit the member of a round; return the fitted learner."""
        X, y, weight, key = weighted_rows(
            rows.X, rows.y, rows.weight, rows.key, self.traits, self.seed, number
        )
        return self.fit(number, shards, X, y, weight, key=key, rows=len(rows.y), memory=memory)
