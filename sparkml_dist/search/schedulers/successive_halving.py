"""Successive halving, with the numbers of scikit-learn's HalvingGridSearchCV."""

from __future__ import annotations

import math

from sparkml_dist.search.schedulers.bracket import Bracket
from sparkml_dist.search.schedulers.rungs import check_ladder, whole_log
from sparkml_dist.search.schedulers.scheduler import Run, Scheduler

__all__ = ["SuccessiveHalving"]


class SuccessiveHalving(Scheduler):
    """Runs all trials with little of the resource, then the best 1/η of them with more.

    A rung is complete before the next one begins. There are as many rungs as the resource
    allows, and no more than it takes to be left with fewer than η trials; ⌈n/η⌉ of n go on.

    Parameters
    ----------
    num_trials : int
        Number of trials of the lowest rung.
    least, most : int
        Resource of the lowest rung, and the largest one of any.
    factor : float, default=3
        Reduction factor η.

    References
    ----------
    Jamieson, Talwalkar (2016), "Non-stochastic best arm identification and hyperparameter
    optimization". The numbers of trials and resources are those of scikit-learn's
    ``HalvingGridSearchCV`` with ``min_resources=least`` and ``max_resources=most``.
    """

    def __init__(self, num_trials: int, least: int, most: int, factor: float = 3) -> None:
        check_ladder(least, most, factor)
        rungs = 1 + min(whole_log(most / least, factor), whole_log(num_trials, factor))
        super().__init__([min(int(least * factor**k), most) for k in range(rungs)])
        self.num_trials = num_trials
        sizes = [num_trials]
        for _ in range(rungs - 1):
            sizes.append(math.ceil(sizes[-1] / factor))
        self._bracket = Bracket(sizes)

    def _next(self) -> Run | None:
        found = self._bracket.next(self.started)
        return None if found is None else self._run(*found)

    def _reported(self, trial: int, rung: int, loss: float) -> None:
        super()._reported(trial, rung, loss)
        self._bracket.report(trial, loss)
