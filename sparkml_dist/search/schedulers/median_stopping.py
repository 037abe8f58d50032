"""The median stopping rule."""

from __future__ import annotations

import math
from statistics import mean, median

from sparkml_dist.search.schedulers.rungs import rung_resources
from sparkml_dist.search.schedulers.scheduler import Run, Scheduler

__all__ = ["MedianStopping"]


class MedianStopping(Scheduler):
    """Stops a trial whose best loss so far is worse than the median of the others' means.

    A trial that has been reported at a rung goes on unless its smallest loss up to there is
    greater than the median, over all other trials that succeeded at that rung, of the mean of their
    losses up to there. The trial that has come furthest goes on first.

    Parameters
    ----------
    num_trials : int or None
        Number of trials; None for no end.
    least, most : int
        Resource of the lowest rung and of the highest one.
    factor : float, default=3
        Ratio of the resources of two rungs.
    others : int, default=5
        Number of other trials that must have succeeded at a rung before any is stopped there.

    References
    ----------
    Golovin, Solnik, Moitra, Kochanski, Karro, Sculley (2017), "Google Vizier: a service for
    black-box optimization", KDD, section 3.2.
    """

    def __init__(
        self, num_trials: int | None, least: int, most: int, factor: float = 3, *, others: int = 5
    ) -> None:
        super().__init__(rung_resources(least, most, factor))
        self.num_trials = num_trials
        self.others = others
        self._going_on: list[tuple[int, int]] = []

    def _next(self) -> Run | None:
        if self._going_on:
            rung, trial = max(self._going_on, key=lambda at: (at[0], -at[1]))
            self._going_on.remove((rung, trial))
            return self._run(trial, rung)
        if self.num_trials is None or self.started < self.num_trials:
            return self._new_trial()
        return None

    def _reported(self, trial: int, rung: int, loss: float) -> None:
        super()._reported(trial, rung, loss)
        if rung + 1 < len(self.resources) and not self._is_stopped(trial, rung):
            self._going_on.append((rung + 1, trial))

    def _is_stopped(self, trial: int, rung: int) -> bool:
        so_far = self._so_far(trial, rung)
        if math.isinf(so_far[-1]):
            return True
        others = [t for t in self.ranked(rung) if t != trial]
        if len(others) < self.others:
            return False
        return min(so_far) > median(mean(self._so_far(t, rung)) for t in others)

    def _so_far(self, trial: int, rung: int) -> list[float]:
        return [losses[trial] for losses in self._losses[: rung + 1] if trial in losses]
