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
    delayed : bool, default=False
        Promote from a rung of n trials to no more than ⌊n/η⌋. Without it more are promoted where
        later trials are better than earlier ones, because each is among the best when it comes:
        the samplers that learn make such trials, and nearly all of them could go to the top.

    References
    ----------
    Li, Jamieson, Rostamizadeh, Gonina, Hardt, Recht, Talwalkar (2018), "A system for massively
    parallel hyperparameter tuning", arXiv 1810.05934, algorithm 2. The delay is that of Li, Shen,
    Jiang, Zhang, Li, Liu, Zhang, Cui (2022), "Hyper-Tune: towards efficient hyper-parameter tuning
    at scale", arXiv 2201.06834.
    """

    def __init__(
        self,
        num_trials: int | None,
        least: int,
        most: int,
        factor: float = 3,
        *,
        delayed: bool = False,
    ) -> None:
        super().__init__(rung_resources(least, most, factor))
        self.delayed = delayed
        self.num_trials = num_trials
        self.factor = factor
        self._promoted: list[set[int]] = [set() for _ in self.resources]

    def _next(self) -> Run | None:
        for rung in reversed(range(len(self.resources) - 1)):
            # A rung that failed trials are on is as large as with them; they are never promoted.
            best = int(len(self._losses[rung]) / self.factor)
            if self.delayed and len(self._promoted[rung]) >= best:
                continue
            for trial in self.ranked(rung)[:best]:
                if trial not in self._promoted[rung]:
                    self._promoted[rung].add(trial)
                    return self._run(trial, rung + 1)
        if self.num_trials is None or self.started < self.num_trials:
            return self._new_trial()
        return None
