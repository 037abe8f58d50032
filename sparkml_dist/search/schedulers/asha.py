"""Asynchronous successive halving (ASHA)."""

from __future__ import annotations

from sparkml_dist.search.schedulers.rungs import rung_resources
from sparkml_dist.search.schedulers.scheduler import Run, Scheduler

__all__ = ["Asha"]


class Asha(Scheduler):
    """Promotes a trial as soon as it is among the best 1/η of its rung; starts new ones otherwise.

    Rungs are looked through from the highest down, so that a worker that is free takes the
    trial that has come furthest. Nothing waits for a rung to fill.

    Parameters
    ----------
    num_trials : int or None
        Largest number of trials; None for no end.
    least, most : int
        Resource of the lowest rung and of the highest one.
    factor : float, default=3
        Reduction factor η.

    References
    ----------
    Li, Jamieson, Rostamizadeh, Gonina, Hardt, Recht, Talwalkar (2018), "A system for massively
    parallel hyperparameter tuning", arXiv 1810.05934, algorithm 2.
    """

    def __init__(self, num_trials: int | None, least: int, most: int, factor: float = 3) -> None:
        super().__init__(rung_resources(least, most, factor))
        self.num_trials = num_trials
        self.factor = factor
        self._promoted: list[set[int]] = [set() for _ in self.resources]

    def _next(self) -> Run | None:
        for rung in reversed(range(len(self.resources) - 1)):
            # A rung that failed trials are on is as large as with them; they are never promoted.
            best = int(len(self._losses[rung]) / self.factor)
            for trial in self.ranked(rung)[:best]:
                if trial not in self._promoted[rung]:
                    self._promoted[rung].add(trial)
                    return self._run(trial, rung + 1)
        if self.num_trials is None or self.started < self.num_trials:
            return self._new_trial()
        return None
