"""Schedulers keep the published numbers, and their promises whatever the order of results."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.search.schedulers.asha import Asha
from sparkml_dist.search.schedulers.full import Full
from sparkml_dist.search.schedulers.hyperband import Hyperband, bracket_starts
from sparkml_dist.search.schedulers.making import SCHEDULERS, make_scheduler
from sparkml_dist.search.schedulers.median_stopping import MedianStopping
from sparkml_dist.search.schedulers.rungs import rung_resources
from sparkml_dist.search.schedulers.scheduler import Done, Run, Wait
from sparkml_dist.search.schedulers.successive_halving import SuccessiveHalving
from tests.search.simulated import run_alone, run_in_order


def sizes(scheduler):
    return [len(rung) for rung in scheduler.rungs()]


# -- published numbers --------------------------------------------------------------------


def test_asha_with_losses_that_rise():
    scheduler = Asha(27, 1, 27)
    run_alone(scheduler, lambda trial, rung: trial)
    assert scheduler.resources == (1, 3, 9, 27)
    assert sizes(scheduler) == [27, 9, 3, 1]
    assert scheduler.units == 81


def test_asha_with_losses_in_disorder():
    scheduler = Asha(27, 1, 27)
    runs = run_alone(scheduler, lambda trial, rung: (7 * trial) % 27)
    assert scheduler.finalists() == [0]
    assert set(scheduler.rungs()[1]) == {0, 1, 4, 5, 8, 12, 16, 20, 24}
    # The highest rung first: trial 0 is promoted as soon as three are there.
    assert runs[:4] == [Run(0, 0, 1), Run(1, 0, 1), Run(2, 0, 1), Run(0, 1, 3)]


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("candidates", [27, 20, 8])
def test_halving_is_that_of_scikit_learn(candidates, factor):
    from sklearn.datasets import load_digits
    from sklearn.dummy import DummyClassifier
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingGridSearchCV

    X, y = load_digits(return_X_y=True)
    grid = {"random_state": list(range(candidates))}
    learner = DummyClassifier(strategy="stratified")
    peer = HalvingGridSearchCV(learner, grid, factor=factor, min_resources=64, cv=2, random_state=0)
    peer.fit(X, y)
    scheduler = SuccessiveHalving(candidates, 64, len(y), factor)
    # The same means as scikit-learn had, so that the same candidates go on.
    of = peer.cv_results_
    means = {
        (p["random_state"], i): -m
        for p, i, m in zip(of["params"], of["iter"], of["mean_test_score"])
    }
    rng = np.random.default_rng(0)
    loss = {}

    def known(trial, rung):
        loss[trial, rung] = means.get((trial, rung), rng.random())
        return loss[trial, rung]

    run_alone(scheduler, known)
    assert sizes(scheduler) == peer.n_candidates_
    assert list(scheduler.resources) == peer.n_resources_
    if (candidates, factor) == (27, 3):
        assert peer.n_candidates_ == [27, 9, 3, 1]
        assert peer.n_resources_ == [64, 192, 576, 1728]


def test_hyperband_with_the_numbers_of_the_paper():
    assert bracket_starts(5, 3) == [81, 34, 15, 8, 5]
    scheduler = Hyperband(None, 1, 81)
    run_alone(scheduler, lambda trial, rung: trial)
    brackets = scheduler.brackets()
    assert [len(b) for b in brackets] == [81, 34, 15, 8, 5]
    rungs = scheduler.rungs()
    by_bracket = [[len(set(b) & set(r)) for r in rungs] for b in brackets]
    # n_i = floor(n / 3^i); the paper's table has 9 for the third bracket's 15 starts, by floor.
    assert by_bracket == [
        [81, 27, 9, 3, 1],
        [0, 34, 11, 3, 1],
        [0, 0, 15, 5, 1],
        [0, 0, 0, 8, 2],
        [0, 0, 0, 0, 5],
    ]


@pytest.mark.parametrize(("trials", "starts"), [(143, [81, 34, 15, 8, 5]), (20, [11, 5, 2, 1, 1])])
def test_hyperband_of_a_number_of_trials(trials, starts):
    scheduler = Hyperband(trials, 1, 81)
    run_alone(scheduler, lambda trial, rung: trial)
    assert [len(b) for b in scheduler.brackets()] == starts
    # Every bracket takes one to the end.
    last = scheduler.rungs()[-1]
    assert all(set(b) & set(last) for b in scheduler.brackets())


def test_hyperband_goes_round_again():
    scheduler = Hyperband(150, 1, 81)
    run_alone(scheduler, lambda trial, rung: trial)
    starts = [len(b) for b in scheduler.brackets()]
    assert starts[:5] == [81, 34, 15, 8, 5]
    assert sum(starts) == 150 == scheduler.started


def test_median_stopping_by_hand():
    # Losses of each trial at resources 1, 3 and 9.
    losses = [(5, 5, 5), (4, 2, 2), (9, 1, 1), (3, 8, 8), (6, 0, 0), (4.5, 6, 0)]
    scheduler = MedianStopping(len(losses), 1, 9, others=2)
    runs = run_alone(scheduler, lambda trial, rung: losses[trial][rung])
    ended = [max(r.rung for r in runs if r.trial == t) for t in range(len(losses))]
    # 0 and 1 have fewer than two others. 2 at rung 0: 9 > median(5, 4), stopped. 3 at rung 0:
    # 3 <= median(5, 4, 9); at rung 1 its best, 3, is <= median of means 5 and 3; at rung 2 it ends.
    # 4 at rung 0: 6 > median(5, 4, 9, 3) = 4.5, stopped. 5: 4.5 <= median(5, 4, 9, 3, 6) = 5; at
    # rung 1 its best, 4.5, is <= median of means 5, 3 and 5.5.
    assert ended == [2, 2, 0, 2, 0, 2]
    assert [r.trial for r in runs] == [0, 0, 0, 1, 1, 1, 2, 3, 3, 3, 4, 5, 5, 5]
    # Means and not last losses: with the last ones the median at rung 1 would be of 5, 2 and 8.
    worse = [*losses[:5], (4.6, 5.2, 0)]
    scheduler = MedianStopping(6, 1, 9, others=2)
    assert run_alone(scheduler, lambda trial, rung: worse[trial][rung])[-1] == Run(5, 2, 9)


def test_none():
    scheduler = Full(3, 8)
    assert run_alone(scheduler, lambda trial, rung: -trial) == [Run(t, 0, 8) for t in range(3)]
    assert scheduler.finalists() == [2, 1, 0]
    assert scheduler.units == 24


# -- the ladder ---------------------------------------------------------------------------


@given(
    least=st.integers(1, 200),
    times=st.floats(1, 2000),
    factor=st.floats(1.5, 10),
)
def test_both_ends_are_rungs_and_ratios_are_even(least, times, factor):
    most = round(least * times)
    ladder = rung_resources(least, most, factor)
    assert ladder == sorted(set(ladder))
    assert ladder[-1] == most
    assert ladder[0] == least or len(ladder) == 1
    steps = max(1, round(math.log(most / least, factor)))
    for k, resource in enumerate(ladder):
        if len(ladder) == steps + 1:
            assert abs(resource - least * (most / least) ** (k / steps)) <= 0.5 + 1e-6 * most


@pytest.mark.parametrize(
    ("least", "most", "factor", "ladder"),
    [
        (1, 27, 3, [1, 3, 9, 27]),
        (1, 81, 3, [1, 3, 9, 27, 81]),
        (1, 1024, 2, [2**k for k in range(11)]),
        (1, 4**7, 4, [4**k for k in range(8)]),
        (1, 2, 3, [1, 2]),
        (2, 3, 3, [3]),
        (5, 5, 3, [5]),
    ],
)
def test_ladders(least, most, factor, ladder):
    assert rung_resources(least, most, factor) == ladder


@pytest.mark.parametrize(
    ("least", "most", "factor"), [(0, 5, 3), (3, 2, 3), (1, 5, 1), (1, 5, math.inf)]
)
@pytest.mark.parametrize("kind", SCHEDULERS)
def test_bounds_that_contradict(kind, least, most, factor):
    with pytest.raises(ConfigurationError, match="invalid_param"):
        make_scheduler(kind, 9, least, most, factor)


@pytest.mark.parametrize(("kind", "trials"), [("asah", 9), ("asha", 0), ("halving", None)])
def test_schedulers_that_there_are_not(kind, trials):
    with pytest.raises(ConfigurationError, match="invalid_param"):
        make_scheduler(kind, trials, 1, 9)


# -- promises -----------------------------------------------------------------------------


@st.composite
def searches(draw):
    kind = draw(st.sampled_from(SCHEDULERS))
    trials = draw(st.integers(1, 40))
    least = draw(st.integers(1, 3))
    most = draw(st.integers(least, 40))
    factor = draw(st.sampled_from([2, 2.5, 3, 4]))
    seed = draw(st.integers(0, 1000))
    failing = draw(st.sampled_from([0.0, 0.3, 1.0]))
    return kind, trials, least, most, factor, seed, failing


def losses_of(seed, failing):
    def loss(trial, rung):
        rng = np.random.default_rng([seed, trial, rung])
        return None if rng.random() < failing else float(rng.integers(0, 20))

    return loss


@given(search=searches(), order=st.randoms(use_true_random=False), most=st.integers(1, 9))
@settings(deadline=None)
def test_promises_in_any_order_of_results(search, order, most):
    kind, trials, *ladder, seed, failing = search
    loss = losses_of(seed, failing)
    scheduler = make_scheduler(kind, trials, *ladder)
    runs = run_in_order(scheduler, loss, order.randrange, most)
    # Done again and again, and all trials were started, in order.
    assert scheduler.decide() == Done() == scheduler.decide()
    news = list(dict.fromkeys(run.trial for run in runs))
    assert news == list(range(trials)) and scheduler.started == trials
    # No trial runs twice at a rung; each climbs rung by rung; resources are those of the rung.
    assert len({(run.trial, run.rung) for run in runs}) == len(runs)
    for trial in news:
        climbed = [run.rung for run in runs if run.trial == trial]
        assert climbed == list(range(climbed[0], climbed[0] + len(climbed)))
    assert all(run.resource == scheduler.resources[run.rung] for run in runs)
    # Only who succeeded goes on.
    rungs = scheduler.rungs()
    for run in runs:
        if run.rung and run.trial in rungs[run.rung - 1]:
            assert math.isfinite(rungs[run.rung - 1][run.trial])
    # Units: each trial pays what it has in the end.
    ends = {run.trial: run.resource for run in runs}
    assert scheduler.units == sum(ends.values())
    # The number at a rung.
    factor = ladder[2]
    for below, above in zip(sizes(scheduler), sizes(scheduler)[1:]):
        if kind == "halving":
            assert above <= math.ceil(below / factor)
            assert failing or above == math.ceil(below / factor)
    if kind == "hyperband":
        for bracket in scheduler.brackets():
            held = [len(set(bracket) & set(rung)) for rung in rungs]
            first = next(k for k, n in enumerate(held) if n)
            for k in range(first, len(held)):
                assert held[k] <= max(1, len(bracket) / factor ** (k - first) + 1e-9)
    # Finalists: those of the highest rung, by loss.
    last = [rung for rung in rungs if any(map(math.isfinite, rung.values()))][-1:]
    finite = {t: v for rung in last for t, v in rung.items() if math.isfinite(v)}
    assert scheduler.finalists() == sorted(finite, key=lambda t: (finite[t], t))


@given(search=searches())
@settings(deadline=None)
def test_the_best_of_asha_are_promoted(search):
    """One after another: whoever is among the best 1/η of a rung in the end was promoted."""
    _, trials, *ladder, seed, _ = search
    scheduler = Asha(trials, *ladder)
    run_alone(scheduler, losses_of(seed, 0.0))
    for rung, above in zip(scheduler.rungs(), scheduler.rungs()[1:]):
        best = sorted(rung, key=lambda t: (rung[t], t))[: int(len(rung) / ladder[2])]
        assert set(best) <= set(above)


@given(search=searches(), order=st.randoms(use_true_random=False), most=st.integers(1, 9))
@settings(deadline=None)
def test_asha_promotes_those_and_only_those_it_may(search, order, most):
    _, trials, *ladder, seed, failing = search

    class Watched(Asha):
        def decide(self):
            # As published: the best 1/η of the results so far that were not promoted before.
            able = []
            for rung, losses in enumerate(self.rungs()[:-1]):
                best = sorted(losses, key=lambda t: (losses[t], t))[: int(len(losses) / ladder[2])]
                above = set(self.rungs()[rung + 1]) | {
                    t for t, at in self.running.items() if at == rung + 1
                }
                able += [
                    (rung + 1, -losses[t], -t)
                    for t in best
                    if t not in above and math.isfinite(losses[t])
                ]
            decision = super().decide()
            if able:
                rung, _, trial = max(able)
                assert decision == Run(-trial, rung, self.resources[rung])
            else:
                assert not isinstance(decision, Run) or decision.rung == 0
            return decision

    run_in_order(Watched(trials, *ladder), losses_of(seed, failing), order.randrange, most)


def test_what_does_not_run_is_not_reported():
    scheduler = Asha(9, 1, 9)
    with pytest.raises(ValueError, match="trial 0 does not run at rung 0"):
        scheduler.report(0, 0, 1.0)
    run = scheduler.decide()
    with pytest.raises(ValueError, match="trial 0 does not run at rung 1"):
        scheduler.report(0, 1, 1.0)
    scheduler.report(run.trial, run.rung, float("nan"))
    assert scheduler.rungs()[0] == {0: math.inf}
    with pytest.raises(ValueError, match="trial 0 does not run"):
        scheduler.report(0, 0, 1.0)


def test_halving_waits_for_a_rung_to_fill():
    scheduler = SuccessiveHalving(3, 1, 3)
    runs = [scheduler.decide() for _ in range(3)]
    assert scheduler.decide() == Wait()
    for run in runs:
        assert scheduler.decide() == Wait()
        scheduler.report(run.trial, run.rung, -run.trial)
    assert scheduler.decide() == Run(2, 1, 3)
    assert scheduler.running == {2: 1}
