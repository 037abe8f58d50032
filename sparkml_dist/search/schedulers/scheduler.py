"""What all schedulers share: the decisions, the record of results, and who runs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Decision", "Done", "Run", "Scheduler", "Wait"]


@dataclass(frozen=True)
class Run:
    """Decision to run a trial up to a rung.

    Attributes
    ----------
    trial : int
        A number that was not seen before is a new trial; new ones are numbered from 0.
    rung : int
        Rung of the ladder, from 0. A new trial need not begin at rung 0 (Hyperband).
    resource : int
        How much of the resource the trial has in all when it ends there.
    """

    trial: int
    rung: int
    resource: int


@dataclass(frozen=True)
class Wait:
    """Decision to start nothing until a further result is reported."""


@dataclass(frozen=True)
class Done:
    """Decision that the search has ended: nothing runs, and nothing is left to start."""


Decision = Run | Wait | Done


class Scheduler(ABC):
    """Decides which trial runs next and up to which rung, from the losses reported so far.

    A decision is a function of the decisions and reports before it, in their order: a search is
    resumed by making the same calls again.

    Parameters
    ----------
    resources : sequence of int
        The resource of each rung, ascending.

    Attributes
    ----------
    resources : tuple of int
    started : int
        Number of trials.
    """

    def __init__(self, resources: Sequence[int]) -> None:
        self.resources = tuple(resources)
        self.started = 0
        self._losses: list[dict[int, float]] = [{} for _ in self.resources]
        self._running: dict[int, int] = {}
        self._ends: dict[int, int] = {}

    def decide(self) -> Decision:
        """Return what to do next; a `Run` counts as running until it is reported."""
        run = self._next()
        if run is None:
            return Wait() if self._running else Done()
        if run.trial == self.started:
            self.started += 1
        self._running[run.trial] = run.rung
        return run

    def report(self, trial: int, rung: int, loss: float | None) -> None:
        """Record the result of a run.

        Parameters
        ----------
        trial, rung : int
            Of the `Run`.
        loss : float or None
            Smaller is better. None if the trial failed: it goes no further.

        Raises
        ------
        ValueError
            If the trial does not run there.
        """
        if self._running.get(trial) != rung:
            raise ValueError(f"trial {trial} does not run at rung {rung}")
        del self._running[trial]
        failed = loss is None or math.isnan(loss)
        self._reported(trial, rung, math.inf if failed else float(loss or 0.0))

    @abstractmethod
    def _next(self) -> Run | None:
        """Return the next run, or None if there is none at present."""

    def _reported(self, trial: int, rung: int, loss: float) -> None:
        """Take note of a loss, infinite for a failure."""
        self._losses[rung][trial] = loss
        self._ends[trial] = rung

    def _new_trial(self, rung: int = 0) -> Run:
        return self._run(self.started, rung)

    def _run(self, trial: int, rung: int) -> Run:
        return Run(trial, rung, self.resources[rung])

    # -- the record ------------------------------------------------------------------------

    @property
    def running(self) -> dict[int, int]:
        """Rung of each trial that runs."""
        return dict(self._running)

    def rungs(self) -> list[dict[int, float]]:
        """Return the loss of each trial at each rung, infinite for those that failed there."""
        return [dict(losses) for losses in self._losses]

    def ranked(self, rung: int) -> list[int]:
        """Return the trials with a finite loss at a rung, the best first, ties by number."""
        losses = self._losses[rung]
        return sorted((t for t in losses if math.isfinite(losses[t])), key=lambda t: (losses[t], t))

    def finalists(self) -> list[int]:
        """Return the trials of the highest rung on which any succeeded, the best first.

        Losses of different rungs are not compared: those with more of the resource are lower
        for that alone.
        """
        for rung in reversed(range(len(self.resources))):
            if ranked := self.ranked(rung):
                return ranked
        return []

    @property
    def units(self) -> int:
        """Resource spent on reported runs, where a trial that goes on pays the difference only."""
        return sum(self.resources[rung] for rung in self._ends.values())
