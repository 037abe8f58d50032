"""Every trial gets all of the resource."""

from __future__ import annotations

from sparkml_dist.search.schedulers.scheduler import Run, Scheduler

__all__ = ["Full"]


class Full(Scheduler):
    """Starts one trial after another, each with all of the resource.

    Parameters
    ----------
    num_trials : int or None
        Number of trials; None for no end.
    most : int
        The resource of each.
    """

    def __init__(self, num_trials: int | None, most: int) -> None:
        super().__init__([most])
        self.num_trials = num_trials

    def _next(self) -> Run | None:
        if self.num_trials is None or self.started < self.num_trials:
            return self._new_trial()
        return None
