"""Searches without learners: losses are functions of the trial, workers are numbers of slots."""

from __future__ import annotations

import heapq

import numpy as np

from sparkml_dist.search.schedulers.scheduler import Done, Run, Wait


def run_alone(scheduler, loss):
    """One worker: each run is reported before the next is decided. Return the runs in order."""
    runs = []
    while isinstance(run := scheduler.decide(), Run):
        runs.append(run)
        scheduler.report(run.trial, run.rung, loss(run.trial, run.rung))
    assert isinstance(run, Done)
    return runs


def run_in_order(scheduler, loss, pick, most=6):
    """Up to `most` runs at a time, of which `pick(n)` tells the one of n that ends next."""
    runs, going = [], []
    while True:
        decision = scheduler.decide() if len(going) < most else Wait()
        if isinstance(decision, Run):
            runs.append(decision)
            going.append(decision)
        elif isinstance(decision, Done):
            assert not going
            return runs
        else:
            assert going, "it waits for a result, but nothing runs"
            run = going.pop(pick(len(going)))
            scheduler.report(run.trial, run.rung, loss(run.trial, run.rung))


def run_on_workers(sequencer, loss, workers, seed):
    """Run on workers for random times. Return (job, points, loss) of each, by job number."""
    rng = np.random.default_rng(seed)
    clock, running, done = 0.0, [], []
    while True:
        job = sequencer.next() if len(running) < workers else Wait()
        if isinstance(job, Done):
            assert not running
            return sorted(done, key=lambda item: item[0])
        if not isinstance(job, Wait):
            ends = clock + rng.lognormal(0, 1.5)
            heapq.heappush(running, (ends, job.number, job))
            continue
        assert running, "it waits for a result, but nothing runs"
        clock, _, job = heapq.heappop(running)
        value = loss(job)
        sequencer.report(job, value)
        done.append((job.number, job.run, job.setting.points, value))
