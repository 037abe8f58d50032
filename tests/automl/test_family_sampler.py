"""Which family gets the next trial, and that the choice can be repeated and resumed."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor

from sparkml_dist.automl.families.family import Family
from sparkml_dist.automl.family_choice import FamilyChoice, FamilyRecord
from sparkml_dist.automl.family_sampler import FamilySampler
from sparkml_dist.search.dimensions import Floating, Integer


def record(*trials):
    """A record of trials with a cost and a loss each."""
    found = FamilyRecord()
    for cost, loss in trials:
        found.spent += cost
        found.report(loss)
    return found


def test_estimated_costs_by_hand():
    choice = FamilyChoice(
        ["best", "near", "poor", "fails"],
        {
            # Improved from 0.5 to 0.2 at a cost of 3, and has spent 2 in vain since.
            "best": record((1, 0.5), (3, 0.2), (2, 0.3)),
            # Gained 0.1 by a cost of 1; the gap of 0.1 takes 0.1 × (2 − 1) / 0.1.
            "near": record((1, 0.4), (1, 0.3)),
            # A single result, 0.6 above the best: 0.6 × 2 / (0.1 × 0.6).
            "poor": record((2, 0.8)),
            "fails": record((1, None)),
        },
    )
    costs = choice.costs()
    assert costs["best"] == pytest.approx(3)
    assert costs["near"] == pytest.approx(1)
    assert costs["poor"] == pytest.approx(20)
    assert math.isinf(costs["fails"])
    drawn = Counter(choice.draw(np.random.default_rng(i)) for i in range(2_000))
    assert drawn["fails"] == 0
    total = 1 / 3 + 1 + 1 / 20
    assert drawn["near"] / 2_000 == pytest.approx(1 / total, abs=0.05)


def test_all_families_have_a_chance_while_all_fail():
    choice = FamilyChoice(["a", "b"], {"a": record((1, None)), "b": record((1, None))})
    assert {choice.draw(np.random.default_rng(i)) for i in range(30)} == {"a", "b"}


def families():
    return [
        Family("ridge", Ridge(), {"alpha": Floating(0.1, 10.0, log=True)}, [{"alpha": 1.0}]),
        Family(
            "near",
            KNeighborsRegressor(),
            {"n_neighbors": Integer(1, 50), "weights": ["uniform", "distance"]},
            [{"n_neighbors": 5, "weights": "uniform"}, {"n_neighbors": 9, "weights": "distance"}],
            cost=3.0,
        ),
    ]


def run(sampler, count):
    for number in range(count):
        setting = sampler.ask(number)
        loss = 0.5 + 0.01 * number if setting.estimator == "ridge" else 1.0 / (2 + number)
        sampler.tell(number, loss)
    return [(sampler.settings[n].estimator, sampler.settings[n].params) for n in range(count)]


def test_portfolios_come_first_and_the_same_seed_repeats_all():
    found = run(FamilySampler(families(), "random", 3, timed=False), 25)
    assert found[0] == ("ridge", {"alpha": 1.0})
    assert found[1] == ("near", {"n_neighbors": 5, "weights": "uniform"})
    near = [params for name, params in found if name == "near"]
    assert near[1] == {"n_neighbors": 9, "weights": "distance"}
    # It is the one that improves.
    assert len(near) > 15
    assert found == run(FamilySampler(families(), "random", 3, timed=False), 25)
    assert found != run(FamilySampler(families(), "random", 4, timed=False), 25)


@pytest.mark.parametrize("kind", ["random", "tpe"])
def test_a_resumed_choice_goes_on_as_it_would_have(kind):
    if kind == "tpe":
        pytest.importorskip("optuna")
    whole = FamilySampler(families(), kind, 3, timed=False)
    expected = run(whole, 12)
    again = FamilySampler(families(), kind, 3, timed=False)
    for number in range(11):
        setting = again.restore(number, whole.settings[number].points)
        assert (setting.estimator, setting.params) == expected[number]
        loss = 0.5 + 0.01 * number if setting.estimator == "ridge" else 1.0 / (2 + number)
        again.tell(number, loss)
    setting = again.ask(11)
    assert (setting.estimator, setting.params) == expected[11]


def test_seconds_count_where_time_is_the_budget():
    sampler = FamilySampler(families(), "random", 0, timed=True)
    for number, seconds in ((0, 0.001), (1, 1_000.0)):
        sampler.ask(number)
        sampler.spent(number, 0, seconds)
        sampler.tell(number, 0.5)
    names = [sampler.ask(n).estimator for n in range(2, 30)]
    assert set(names) == {"ridge"}
