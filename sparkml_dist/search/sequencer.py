"""The order in which jobs are decided and results applied: as they come, or fixed in advance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.search.samplers.sampler import Sampler
from sparkml_dist.search.schedulers.scheduler import Decision, Done, Run, Scheduler, Wait
from sparkml_dist.search.space import Setting

__all__ = ["Job", "Sequencer"]


@dataclass(frozen=True)
class Job:
    """A run that was decided.

    Attributes
    ----------
    number : int
        From 0, in the order of decisions.
    run : Run
        Trial, rung and resource.
    setting : Setting
        Of the trial.
    """

    number: int
    run: Run
    setting: Setting


class Sequencer:
    """Asks the scheduler and the sampler for one job after another, and applies results.

    With a look-ahead L, results are applied in the order of the jobs' numbers, and job n is decided
    with exactly the results of the jobs up to n − L, or, where the scheduler has nothing to start
    with these, of as many more as it takes. Then decisions depend on the results alone, and not on
    how long jobs take or how many run at a time; up to L run at a time. Without a look-ahead,
    results are applied as they come.

    Parameters
    ----------
    scheduler : Scheduler
    sampler : Sampler
    look_ahead : int or None
        At least the number of jobs that run at a time.

    Attributes
    ----------
    events : list
        What happened, in order, as JSON: ``["run", trial, rung]`` for a decision, and
        ``["report", trial, rung, loss]`` for a result that was applied. `replay` takes it.
    """

    def __init__(
        self, scheduler: Scheduler, sampler: Sampler, look_ahead: int | None = None
    ) -> None:
        if look_ahead is not None and look_ahead < 1:
            raise ValueError(f"look_ahead must be >= 1, not {look_ahead}")
        self.scheduler = scheduler
        self.sampler = sampler
        self.look_ahead = look_ahead
        self.events: list[list[Any]] = []
        self._jobs: list[Job] = []
        self._results: dict[int, float | None] = {}
        self._applied: set[int] = set()

    def next(self) -> Job | Wait | Done:
        """Return the next job, `Wait` until a result is reported, or `Done`."""
        if self.look_ahead is None:
            return self._job(self.scheduler.decide())
        while len(self._applied) < len(self._jobs) - self.look_ahead + 1:
            if not self._apply_next():
                return Wait()
        while True:
            decision = self.scheduler.decide()
            if not isinstance(decision, Wait):
                return self._job(decision)
            if not self._apply_next():
                return decision

    def report(self, job: Job, loss: float | None) -> None:
        """Take the result of a job.

        Parameters
        ----------
        job : Job
        loss : float or None
            Smaller is better; None if it failed.
        """
        if job.number in self._results:
            raise ValueError(f"job {job.number} was reported before")
        self._results[job.number] = loss
        if self.look_ahead is None:
            self._apply(job.number)

    def replay(
        self, events: Iterable[list[Any]], points: dict[int, dict[str, float | int]]
    ) -> list[Job]:
        """Repeat the decisions and results of an earlier run, in their order.

        Parameters
        ----------
        events : iterable of list
            The `events` of that run.
        points : dict of int to dict
            The points of each trial's setting.

        Returns
        -------
        list of Job
            Those that were decided and not applied: to be run again, or reported if their result
            is known.

        Raises
        ------
        ConfigurationError
            ``search_changed`` if the scheduler decides otherwise than in that run;
            ``space_changed`` if the space has not the points of a trial.
        """
        for kind, trial, rung, *loss in events:
            if kind == "run":
                self._decide_again(trial, rung, points.get(trial))
            else:
                number = self._running(trial, rung)
                self._results[number] = loss[0]
                self._apply(number)
        return self.pending

    def _decide_again(self, trial: int, rung: int, points: dict[str, float | int] | None) -> None:
        started = self.scheduler.started
        decision = self.scheduler.decide()
        if not isinstance(decision, Run) or (decision.trial, decision.rung) != (trial, rung):
            raise ConfigurationError(
                "search_changed",
                f"The earlier run went on with trial {trial} at rung {rung}, this one would not.",
                "Resume with the scheduler, numTrials and resources of the earlier run.",
            )
        if trial == started and points is not None:
            self.sampler.restore(trial, points)
        self._job(decision)

    def _running(self, trial: int, rung: int) -> int:
        for job in self._jobs:
            if (job.run.trial, job.run.rung) == (trial, rung) and job.number not in self._results:
                return job.number
        raise ValueError(f"trial {trial} does not run at rung {rung}")

    @property
    def pending(self) -> list[Job]:
        """The jobs that were decided and not reported."""
        return [job for job in self._jobs if job.number not in self._results]

    def _job(self, decision: Decision) -> Job | Wait | Done:
        if not isinstance(decision, Run):
            return decision
        setting = self.sampler.ask(decision.trial)
        job = Job(len(self._jobs), decision, setting)
        self._jobs.append(job)
        self.events.append(["run", decision.trial, decision.rung])
        return job

    def _apply_next(self) -> bool:
        """Apply the result of the first job that is not applied, if it is there."""
        number = len(self._applied)
        if number not in self._results:
            return False
        self._apply(number)
        return True

    def _apply(self, number: int) -> None:
        run, loss = self._jobs[number].run, self._results[number]
        self._applied.add(number)
        self.scheduler.report(run.trial, run.rung, loss)
        self.sampler.tell(run.trial, loss, run.rung)
        self.events.append(["report", run.trial, run.rung, loss])
