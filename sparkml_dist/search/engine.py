"""Runs the trials of a search: starts jobs as slots fall free, applies results, commits both."""

from __future__ import annotations

import concurrent.futures
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from sparkml_dist.cluster.progress import cancel_jobs, job_tag, progress
from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.search.schedulers.scheduler import Done, Wait
from sparkml_dist.search.sequencer import Job, Sequencer
from sparkml_dist.search.trial_record import new_record
from sparkml_dist.search.trial_store import TrialStore

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["LOOK_AHEAD", "Engine", "Goal", "Piece", "Runner"]

_logger = logging.getLogger(__name__)

#: Jobs that may run before the result of the first of them is applied, in a deterministic search.
LOOK_AHEAD = 16
# Trials that are shorter are run by one task together, until it has about this much to do.
_BATCH_SECONDS = 1.0
_MOST_IN_BATCH = 200
# Members of one trial are spread over idle slots where that saves at least so much.
_WORTH_SPREADING = 2.0
_POLL_SECONDS = 0.25


class Piece(Protocol):
    """What is started of a job: all of it, or some of its members."""

    @property
    def trial(self) -> int:
        """Number of the trial."""
        ...

    @property
    def rung(self) -> int:
        """Rung of the job."""
        ...

    @property
    def resource(self) -> int:
        """What the trial has of the resource when the rung ends."""
        ...

    @property
    def scores(self) -> bool:
        """Whether its record is that of the whole rung."""
        ...


class Runner(Protocol):
    """Knows how one kind of trial is run."""

    def slots(self, job: Job) -> int:
        """Return how many task slots a job holds."""
        ...

    def pieces(self, job: Job, before: dict[str, Any] | None, spread: int) -> Sequence[Any]:
        """Return a job's pieces, at most `spread`; raises `SparkMLDistError` if it cannot run.

        Parameters
        ----------
        job : Job
        before : dict or None
            Record of the rung that the trial has reached.
        spread : int
        """
        ...

    def rest(
        self, job: Job, before: dict[str, Any] | None, records: Sequence[dict[str, Any]]
    ) -> Any:
        """Return the piece that scores a job whose other pieces are done."""
        ...

    def run(self, pieces: Sequence[Any], seconds: float | None) -> list[dict[str, Any]]:
        """Run pieces in one task, within some seconds; return their records."""
        ...

    def units(self, job: Job, before: dict[str, Any] | None) -> int:
        """Return into how many pieces a job can be divided."""
        ...

    def batches(self, job: Job) -> bool:
        """Tell whether a task may run it together with others."""
        ...


@dataclass(frozen=True)
class Goal:
    """What trials are compared by.

    Attributes
    ----------
    loss : callable
        Returns the loss of a record that is done; infinite if it violates a constraint.
    """

    loss: Callable[[dict[str, Any]], float]

    def of(self, record: dict[str, Any]) -> float | None:
        """Return the loss of a record; None if the trial has none."""
        if record["state"] != "done":
            return None
        loss = self.loss(record)
        return None if math.isnan(loss) else loss


@dataclass
class _Started:
    """A job that runs, piece by piece."""

    job: Job
    runner: Runner
    before: dict[str, Any] | None
    waiting: int
    records: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class _Batch:
    """Pieces that one task runs."""

    works: list[tuple[_Started, Any]]
    slots: int
    alone: bool = False
    begun: float = field(default_factory=time.monotonic)


class Engine:
    """Runs jobs until the scheduler is done, or the time is over.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    sequencer : Sequencer
    runner_of : callable
        Returns the runner of a job.
    store : TrialStore
    goal : Goal
    slots : int
        Number of task slots that may be held at a time.
    tag : str
        Of the Spark jobs, for their cancellation.
    reserve : callable
        Returns the seconds that must be left in the end, given the best record so far.
    deadline : float, optional
        On the clock of ``time.monotonic``.
    total : int, optional
        Number of trials, for the progress bar.

    Attributes
    ----------
    records : dict
        Of every rung that ended, by trial and rung.
    jobs : dict
        By trial and rung.
    out_of_time : bool
        Whether the search ended because its time was over.
    """

    def __init__(
        self,
        spark: SparkSession,
        sequencer: Sequencer,
        runner_of: Callable[[Job], Runner],
        store: TrialStore,
        goal: Goal,
        *,
        slots: int,
        tag: str,
        reserve: Callable[[dict[str, Any] | None], float] = lambda _: 0.0,
        deadline: float | None = None,
        total: int | None = None,
    ) -> None:
        self.spark, self.sequencer, self.store, self.goal = spark, sequencer, store, goal
        self.records: dict[tuple[int, int], dict[str, Any]] = {}
        self.jobs: dict[tuple[int, int], Job] = {}
        self.out_of_time = False
        self._runner_of, self._slots, self._tag = runner_of, slots, tag
        self._reserve, self._deadline, self._total = reserve, deadline, total
        self._again: list[Job] = []
        self._ready: list[tuple[_Started, Any]] = []
        self._running: dict[concurrent.futures.Future[list[dict[str, Any]]], _Batch] = {}
        self._lost: set[tuple[int, int, int]] = set()
        self._mean_seconds: float | None = None
        self._best: dict[str, Any] | None = None
        self._settled = False

    # -- before the run -------------------------------------------------------------------

    def resume(self) -> int:
        """Repeat the decisions of an earlier run; return how many results it had committed."""
        events, points = self.store.read_events()
        if not events:
            return 0
        pending = self.sequencer.replay(events, points)
        jobs = {(j.run.trial, j.run.rung): j for j in self.sequencer.jobs}
        results = self.store.results(jobs)
        for kind, trial, rung, *_ in events:
            if kind == "report":
                self._keep(jobs[trial, rung], results[trial, rung])
        for job in pending:
            record = results.get((job.run.trial, job.run.rung))
            if record is None:
                self._again.append(job)
            else:
                self._apply(job, record)
        return len(self.records)

    # -- the run --------------------------------------------------------------------------

    def run(self) -> None:
        """Run jobs until there are none; raises what ends a search, such as a lost shard."""
        threads = concurrent.futures.ThreadPoolExecutor(
            self._slots, thread_name_prefix="sparkml_dist-trial"
        )
        with progress(self._total or 0, "search", lambda: len({t for t, _ in self.records})):
            try:
                while True:
                    self._fill(threads)
                    if not self._running:
                        break
                    self._collect()
            except BaseException:
                cancel_jobs(self.spark, self._tag)
                raise
            finally:
                threads.shutdown(cancel_futures=True)
                self.store.write_events(self.sequencer.events, [])

    @property
    def _free(self) -> int:
        return self._slots - sum(b.slots for b in self._running.values())

    def _left(self) -> float | None:
        """Return the seconds that are left for trials; None for no end."""
        if self._deadline is None:
            return None
        return self._deadline - time.monotonic() - self._reserve(self._best)

    def _fill(self, threads: concurrent.futures.ThreadPoolExecutor) -> None:
        """Start as much as there are slots for."""
        left = self._left()
        if left is not None and left <= 0:
            self.out_of_time = True
        if self.out_of_time:
            self._ready.clear()
            return
        batches: list[_Batch] = []
        while (free := self._free - sum(b.slots for b in batches)) > 0:
            batch = self._next_batch(free)
            if batch is None:
                break
            batches.append(batch)
        batches = self._spread(batches)
        if not batches:
            return
        self.store.write_events(self.sequencer.events, [s.job for b in batches for s, _ in b.works])
        for batch in batches:
            batch.begun = time.monotonic()
            self._running[threads.submit(self._run, batch, left)] = batch

    def _next_batch(self, free: int) -> _Batch | None:
        """Return what one task is to do next, or None if there is nothing for it."""
        works: list[tuple[_Started, Any]] = []
        wanted = 1
        if self._mean_seconds is not None:
            wanted = min(
                _MOST_IN_BATCH, max(1, int(_BATCH_SECONDS / max(self._mean_seconds, 1e-4)))
            )
        while len(works) < wanted:
            if not self._ready and not self._prepare():
                break
            started, piece = self._ready[0]
            needed = started.runner.slots(started.job)
            together = started.runner.batches(started.job)
            if works and not together:
                break
            if needed > free:
                if needed > self._slots:
                    self._ready.pop(0)
                    self._fail(started.job, "failed", _too_few(needed, self._slots))
                    continue
                break
            self._ready.pop(0)
            alone = (piece.trial, piece.rung, -1) in self._lost
            works.append((started, piece))
            if not together or alone:
                return _Batch(works, needed, alone)
        return _Batch(works, 1) if works else None

    def _prepare(self) -> bool:
        """Make the next job ready; tell whether there is one."""
        while True:
            job: Any = self._again.pop(0) if self._again else self.sequencer.next()
            if isinstance(job, Wait | Done):
                return False
            self.jobs[job.run.trial, job.run.rung] = job
            runner, before = self._runner_of(job), self._before(job)
            try:
                pieces = runner.pieces(job, before, 1)
            except SparkMLDistError as error:
                self._fail(job, "failed", str(error))
                continue
            started = _Started(job, runner, before, len(pieces))
            self._ready += [(started, p) for p in pieces]
            return True

    def _before(self, job: Job) -> dict[str, Any] | None:
        """Return the record of the rung that a job's trial has reached."""
        lower = (self.records.get((job.run.trial, r)) for r in reversed(range(job.run.rung)))
        return next((r for r in lower if r is not None), None)

    def _spread(self, batches: list[_Batch]) -> list[_Batch]:
        """Divide jobs of several members among slots that would be idle."""
        idle = self._free - sum(b.slots for b in batches)
        spread: list[_Batch] = []
        for at, batch in enumerate(batches):
            share = idle // (len(batches) - at)
            ((started, piece), *others) = batch.works
            # What is left of a job that was divided before is its score.
            divisible = not others and not started.records
            units = started.runner.units(started.job, started.before) if divisible else 1
            seconds = (self._mean_seconds or 0.0) * units
            if share < 1 or units < 2 or not piece.scores or seconds < _WORTH_SPREADING:
                spread.append(batch)
                continue
            pieces = started.runner.pieces(started.job, started.before, share + 1)
            idle -= len(pieces) - 1
            started.waiting = len(pieces)
            spread += [_Batch([(started, p)], batch.slots) for p in pieces]
        return spread

    def _run(self, batch: _Batch, left: float | None) -> list[dict[str, Any]]:
        runner = batch.works[0][0].runner
        with job_tag(self.spark, self._tag):
            return runner.run([p for _, p in batch.works], left)

    def _collect(self) -> None:
        """Wait until something ends, and take its results."""
        done, _ = concurrent.futures.wait(
            self._running, _POLL_SECONDS, concurrent.futures.FIRST_COMPLETED
        )
        left = self._left()
        if not done and left is not None and left < -1.0 and not self._settled:
            # Children end themselves in time; what else runs is cancelled.
            self._settled = self.out_of_time = True
            cancel_jobs(self.spark, self._tag)
        for future in done:
            batch = self._running.pop(future)
            try:
                records = future.result()
            except SparkMLDistError:
                raise
            except Exception as error:  # noqa: BLE001 - Spark's own, for a lost executor
                self._lose(batch, error)
                continue
            self._time(batch, records)
            for (started, piece), record in zip(batch.works, records, strict=True):
                self._take(started, piece, record)

    def _time(self, batch: _Batch, records: list[dict[str, Any]]) -> None:
        fits = sum(r["fits"] for r in records if r["state"] != "deadline") or 1
        each = (time.monotonic() - batch.begun) / fits
        old = self._mean_seconds
        self._mean_seconds = each if old is None else 0.5 * old + 0.5 * each

    def _lose(self, batch: _Batch, error: Exception) -> None:
        """Start pieces again whose task was lost, each on its own; give up those lost twice."""
        if self._settled:
            return
        _logger.warning("a task with %d trials was lost: %s", len(batch.works), error)
        for started, piece in batch.works:
            key = (piece.trial, piece.rung, -1)
            if batch.alone or (len(batch.works) == 1 and key in self._lost):
                text = " ".join(str(error).split())[:300]
                self._fail(started.job, "killed", f"Its worker was lost twice: {text}")
            else:
                self._lost.add(key)
                self._ready.append((started, piece))

    def _take(self, started: _Started, piece: Any, record: dict[str, Any]) -> None:
        job = started.job
        if record["state"] == "deadline":
            self.out_of_time = True
        if (job.run.trial, job.run.rung) in self.records:
            return  # another piece of it has failed
        if piece.scores or record["state"] != "done":
            record = {**record, "members": record.get("members", [])}
            if not piece.scores and record["state"] != "deadline":
                self.store.write_result(record)
            self._apply(job, record)
            return
        started.records.append(record)
        started.waiting -= 1
        if started.waiting == 0:
            rest = started.runner.rest(job, started.before, started.records)
            self._ready.insert(0, (started, rest))

    def _fail(self, job: Job, state: str, reason: str) -> None:
        record = new_record(
            job.run.trial, job.run.rung, job.run.resource, state=state, reason=reason
        )
        self.store.write_result(record)
        self._apply(job, record)

    def _apply(self, job: Job, record: dict[str, Any]) -> None:
        self._keep(job, record)
        if record["state"] != "deadline":
            self.sequencer.report(job, self.goal.of(record))

    def _keep(self, job: Job, record: dict[str, Any]) -> None:
        key = job.run.trial, job.run.rung
        self.jobs[key], self.records[key] = job, record
        loss = self.goal.of(record)
        if loss is None:
            _logger.warning("trial %d, rung %d: %s: %s", *key, record["state"], record["reason"])
            return
        best = None if self._best is None else self.goal.of(self._best)
        if best is None or (-record["rung"], loss) < (-(self._best or record)["rung"], best):
            self._best = record
        _logger.info("trial %d, rung %d: loss %.6g", *key, loss)


def _too_few(needed: int, slots: int) -> str:
    return f"It needs {needed} task slots at the same time; the search has {slots}."
