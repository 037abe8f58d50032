"""The order of a search: fixed in advance at any number of workers, and resumed exactly."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.svm import SVC

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.search.samplers.making import SAMPLERS, make_sampler
from sparkml_dist.search.schedulers.making import SCHEDULERS, make_scheduler
from sparkml_dist.search.schedulers.scheduler import Done, Wait
from sparkml_dist.search.sequencer import Sequencer
from sparkml_dist.search.space import Space
from tests.long import cases
from tests.search.simulated import run_on_workers

SPACE = {"C": stats.loguniform(1e-3, 1e3), "gamma": stats.loguniform(1e-4, 10)}
GRID = {"C": [0.01, 0.1, 1, 10, 100], "gamma": [0.001, 0.01, 0.1, 1, 10], "degree": [2, 3]}


def sequencer(kind, scheduler, look_ahead, trials=30, seed=3):
    space = Space.of(GRID if kind == "grid" else SPACE, SVC())
    return Sequencer(
        make_scheduler(scheduler, trials, 1, 9), make_sampler(kind, space, seed), look_ahead
    )


def loss(job):
    if job.run.trial % 7 == 3:
        return None
    params = job.setting.params
    return abs(params["C"] - 1) + abs(params["gamma"] - 0.1) + 1 / job.run.resource


MANY = [(kind, scheduler) for kind in SAMPLERS for scheduler in SCHEDULERS]
FEW = [("tpe", s) for s in SCHEDULERS] + [("cmaes", "asha"), ("random", "asha"), ("grid", "median")]


@pytest.mark.parametrize(("kind", "scheduler"), cases(MANY, FEW))
def test_the_same_search_with_any_number_of_workers(kind, scheduler):
    found = [
        run_on_workers(sequencer(kind, scheduler, 8), loss, workers, seed)
        for seed, workers in enumerate([1, 2, 4, 7, 8, 30])
    ]
    assert len(found[0]) >= 30
    assert all(one == found[0] for one in found[1:])


def test_as_results_come_workers_matter():
    found = [run_on_workers(sequencer("tpe", "asha", None), loss, k, k) for k in (1, 7)]
    assert found[0] != found[1]


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_workers_are_busy_up_to_the_look_ahead(workers):
    order = sequencer("random", "none", workers)
    jobs = [order.next() for _ in range(workers)]
    assert order.next() == Wait()
    # The result of a later job changes nothing; that of the first lets one more start.
    for job in jobs[:0:-1]:
        order.report(job, 1.0)
        assert order.next() == Wait()
    order.report(jobs[0], 1.0)
    more = [order.next() for _ in range(workers)]
    assert [job.number for job in more] == list(range(workers, 2 * workers))
    assert order.next() == Wait()


@pytest.mark.parametrize("look_ahead", [None, 5])
@pytest.mark.parametrize(
    ("kind", "scheduler"), cases(MANY, [("tpe", "asha"), ("cmaes", "hyperband"), ("grid", "none")])
)
def test_resumed_as_if_never_interrupted(kind, scheduler, look_ahead):
    def search(order, known, stop_after=None, seed=0):
        """Run on four workers; give up after some results. Return what was stored by then."""
        rng, running = np.random.default_rng(seed), []
        while True:
            job = order.next() if len(running) < 4 else Wait()
            if isinstance(job, Done):
                return
            if not isinstance(job, Wait):
                running.append(job)
                continue
            job = running.pop(int(rng.integers(len(running))))
            known[job.run.trial, job.run.rung] = loss(job)
            order.report(job, known[job.run.trial, job.run.rung])
            if len(known) == stop_after:
                return

    stored = {}
    cut = sequencer(kind, scheduler, look_ahead)
    search(cut, stored, stop_after=17)
    points = {t: s.points for t, s in cut.sampler.settings.items()}
    events, points_text = json.dumps(cut.events), json.dumps(points)

    def resumed():
        order = sequencer(kind, scheduler, look_ahead)
        again = {int(t): p for t, p in json.loads(points_text).items()}
        left = order.replay(json.loads(events), again)
        assert order.events == cut.events
        return order, left

    # What the resumed search does next is what the interrupted one would have done.
    order, left = resumed()
    assert [job.run for job in left] == [j.run for j in cut._jobs if j.number not in cut._applied]
    for job in left:
        value = loss(job)
        order.report(job, value)
        if job in cut.pending:
            cut.report(job, value)
    while not isinstance(job := order.next(), Done):
        assert job == cut.next()
        order.report(job, loss(job))
        cut.report(job, loss(job))
    assert isinstance(cut.next(), Done)
    assert order.scheduler.rungs() == cut.scheduler.rungs()
    assert order.events == cut.events


@given(
    scheduler=st.sampled_from(SCHEDULERS),
    look_ahead=st.integers(1, 12),
    workers=st.integers(1, 12),
    seed=st.integers(0, 100),
)
@settings(deadline=None, max_examples=40)
def test_any_look_ahead_ends_and_does_not_depend_on_workers(scheduler, look_ahead, workers, seed):
    one = run_on_workers(sequencer("random", scheduler, look_ahead, 17), loss, 1, 0)
    many = run_on_workers(sequencer("random", scheduler, look_ahead, 17), loss, workers, seed)
    assert one == many


def test_a_search_that_was_changed_is_not_resumed():
    order = sequencer("random", "asha", None)
    run_on_workers(order, loss, 3, 1)
    points = {t: s.points for t, s in order.sampler.settings.items()}
    with pytest.raises(ConfigurationError, match="search_changed") as caught:
        sequencer("random", "halving", None, trials=5).replay(order.events, points)
    assert "numTrials" in caught.value.hint
    other = Sequencer(
        make_scheduler("asha", 30, 1, 9),
        make_sampler("random", Space.of({"C": [1, 2], "coef0": [0]}, SVC()), 3),
    )
    with pytest.raises(ConfigurationError, match="space_changed"):
        other.replay(order.events, points)


def test_a_job_is_reported_once():
    order = sequencer("random", "none", None)
    job = order.next()
    order.report(job, 1.0)
    with pytest.raises(ValueError, match="job 0 was reported before"):
        order.report(job, 1.0)
    with pytest.raises(ValueError, match="look_ahead must be >= 1"):
        sequencer("random", "none", 0)
