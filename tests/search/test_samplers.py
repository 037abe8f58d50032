"""Samplers: the same seed gives the same search, losses are learnt from, nothing comes twice."""

from __future__ import annotations

import itertools
import logging
import math

import numpy as np
import pytest
from scipy import stats
from sklearn.model_selection import ParameterGrid
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.search.samplers.gaussian_process import _improvement, _scaled
from sparkml_dist.search.samplers.making import SAMPLERS, make_sampler
from sparkml_dist.search.space import Space
from tests.search.test_space import nested

SPACES = {
    "ranges": {"C": stats.loguniform(1e-3, 1e3), "gamma": stats.loguniform(1e-4, 10)},
    "mixed": {
        "C": stats.loguniform(1e-3, 1e3),
        "kernel": ["rbf", "poly"],
        "degree": [1, 2, 3, 4, 5, 6],
    },
    "nested": nested,
    "lists": {"C": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "kernel": ["rbf", "poly", "linear"]},
}
OTHERS = [kind for kind in SAMPLERS if kind != "grid"]


def loss(params):
    """Return a loss whose best is at C = 10, gamma = 0.01, degree = 3, kernel = rbf."""
    total = (math.log10(params["C"]) - 1) ** 2
    if "gamma" in params:
        total += (math.log10(params["gamma"]) + 2) ** 2
    total += (params.get("degree", 3) - 3) ** 2 / 10
    return total + (params.get("kernel", "rbf") != "rbf")


def searched(kind, space, trials, seed=0, at_once=1):
    """Ask and report with some trials running at a time; every seventh fails."""
    sampler = make_sampler(kind, Space.of(space, SVC()), seed)
    settings, running = [], []
    for number in range(trials):
        settings.append(sampler.ask(number))
        running.append(number)
        if len(running) >= at_once:
            ended = running.pop(0)
            sampler.tell(ended, None if ended % 7 == 6 else loss(settings[ended].params))
    return sampler, settings


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("kind", OTHERS)
def test_the_same_seed_gives_the_same_settings(kind, space):
    trials = 16 if kind == "gp" else 30
    runs = [searched(kind, SPACES[space], trials, seed, 3)[1] for seed in (5, 5, 6)]
    assert runs[0] == runs[1]
    assert [s.params for s in runs[0]] != [s.params for s in runs[2]]
    assert len({str(s.params) for s in runs[0]}) == trials


@pytest.mark.parametrize("space", ["ranges", "mixed"])
@pytest.mark.parametrize("kind", ["tpe", "cmaes", "gp"])
def test_losses_are_learnt_from(kind, space):
    trials = 22 if kind == "gp" else 60

    def reached(kind):
        return np.median(
            [
                min(loss(s.params) for s in searched(kind, SPACES[space], trials, seed)[1])
                for seed in range(1 if kind == "gp" else 3)
            ]
        )

    assert reached(kind) < reached("random") / 2


@pytest.mark.parametrize("kind", SAMPLERS)
def test_every_setting_of_lists_once(kind):
    lists = {"max_depth": [1, 2, 3, 4], "criterion": ["gini", "entropy"]}
    sampler = make_sampler(kind, Space.of(lists, DecisionTreeClassifier()), 0)
    assert sampler.size == 8
    found = []
    for number in range(8):
        found.append(sampler.ask(number).params)
        sampler.tell(number, float(number))
    assert len({tuple(p.items()) for p in found}) == 8
    if kind == "grid":
        assert found == list(ParameterGrid(lists))
        with pytest.raises(ValueError, match="the grid has 8 settings, not 9"):
            sampler.ask(8)
    else:  # then they come again
        assert sampler.ask(8).params in found


def test_a_grid_needs_lists():
    with pytest.raises(ConfigurationError, match="'gamma' is a range"):
        make_sampler("grid", Space.of({"C": [1], "gamma": stats.uniform(0, 1)}, SVC()), 0)


def test_samplers_that_there_are_not():
    with pytest.raises(ConfigurationError, match="Did you mean 'random'"):
        make_sampler("randon", Space.of({"C": [1]}, SVC()), 0)


@pytest.mark.parametrize("package", ["optuna", "cmaes"])
def test_a_package_that_is_missing(monkeypatch, package):
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else found(name)
    )
    space = Space.of({"C": [1, 2]}, SVC())
    with pytest.raises(ConfigurationError, match="search_missing") as caught:
        make_sampler("cmaes", space, 0)
    assert package in caught.value.message
    assert "sparkml_dist[search]" in caught.value.hint
    for kind in ("random", "grid", "gp"):
        make_sampler(kind, space, 0).ask(0)


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("seed", [0, -(2**60), 2**63 - 1])
def test_any_seed(kind, seed):
    assert make_sampler(kind, Space.of({"C": [1, 2]}, SVC()), seed).ask(0).params["C"] in (1, 2)


@pytest.mark.parametrize("kind", OTHERS)
def test_restored_trials_count_as_if_they_had_been_asked_for(kind):
    trials = 14
    whole, settings = searched(kind, SPACES["mixed"], trials, 4, 3)
    again = make_sampler(kind, Space.of(SPACES["mixed"], SVC()), 4)
    for number in range(trials):
        assert again.restore(number, settings[number].points) == settings[number]
        if number >= 2:
            ended = number - 2
            again.tell(ended, None if ended % 7 == 6 else loss(settings[ended].params))
    for number in range(trials, trials + 4):
        assert again.ask(number) == whole.ask(number)


@pytest.mark.parametrize("kind", OTHERS)
def test_settings_that_the_sampler_would_not_propose_are_restored(kind):
    space = Space.of(SPACES["mixed"], SVC())
    given = [space.random(np.random.default_rng(n)) for n in range(12)]
    sampler = make_sampler(kind, space, 0)
    for number, setting in enumerate(given):
        assert sampler.restore(number, setting.points) == setting
        sampler.tell(number, loss(setting.params))
    assert sampler.ask(12) not in given


@pytest.mark.parametrize("kind", ["tpe", "cmaes", "gp"])
def test_the_loss_of_the_highest_rung_counts(kind):
    """Low rungs mislead: what is told later must win."""
    space = Space.of({"C": stats.loguniform(1e-3, 1e3)}, SVC())
    samplers = {}
    for way in ("at once", "later", "never"):
        sampler = samplers[way] = make_sampler(kind, space, 1)
        for number in range(15):
            params = sampler.ask(number).params if number < 12 else None
            if params is None:
                break
            if way != "at once":
                sampler.tell(number, -loss(params), rung=0)
            if way != "never":
                sampler.tell(number, loss(params), rung=2)
            if way == "later":
                sampler.tell(number, -1e9, rung=1)
    proposals = {way: sampler.ask(12).params["C"] for way, sampler in samplers.items()}
    first = [samplers[w].settings[11].params["C"] for w in ("at once", "later")]
    assert first[0] == first[1]
    assert proposals["at once"] == proposals["later"] != proposals["never"]


def test_optuna_says_nothing(capfd, caplog, recwarn):
    import optuna

    level = optuna.logging.get_verbosity()
    with caplog.at_level(logging.INFO):
        for kind in ("tpe", "cmaes"):
            searched(kind, SPACES["nested"], 20)
    assert capfd.readouterr() == ("", "")
    assert not [r for r in caplog.records if r.name.startswith("optuna")]
    assert not recwarn.list
    assert optuna.logging.get_verbosity() == level


def test_losses_are_scaled_without_the_outliers():
    losses = [1.0, 2.0, 3.0, 4.0, 1e9, math.inf]
    scaled = _scaled(losses)
    assert abs(scaled.mean()) < 1e-12 and abs(scaled.std() - 1) < 1e-12
    assert scaled[4] == scaled[5] == scaled.max()
    # The middle of the finite ones is 3, so that 3 + 3 · (3 − 1) = 9 is the most.
    assert np.allclose(np.diff(scaled)[:3], (scaled[4] - scaled[0]) / 8)
    assert np.array_equal(_scaled([2.0, 2.0, math.inf]), [0, 0, 0])


def test_expected_improvement_by_simulation():
    class Normal:
        def predict(self, points, return_std):
            return points[:, 0], points[:, 1]

    rng = np.random.default_rng(0)
    points = np.array(list(itertools.product([-1.0, 0.0, 2.0], [0.1, 1.0])))
    drawn = rng.normal(points[:, 0], points[:, 1], (200_000, len(points)))
    wanted = np.maximum(0.5 - drawn, 0).mean(axis=0)
    # Three standard errors of a mean of 200,000 draws.
    assert np.abs(_improvement(Normal(), points, 0.5) - wanted).max() < 0.007
