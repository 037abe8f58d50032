"""Robust rules against their definitions, written out, and against silos that lie."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sparkml_dist.errors import ConfigurationError, TrainingError
from sparkml_dist.federated.strategies.aggregation.aggregation_of import (
    AGGREGATIONS,
    aggregation_of,
)
from sparkml_dist.federated.strategies.aggregation.bulyan import Bulyan
from sparkml_dist.federated.strategies.aggregation.krum import Krum, MultiKrum
from sparkml_dist.federated.strategies.aggregation.norm_clipping import NormClipping
from sparkml_dist.federated.strategies.aggregation.trimmed_mean import TrimmedMean

EQUAL = np.ones(11)


@pytest.fixture
def updates():
    return np.random.default_rng(1).normal(size=(11, 4))


def scores(updates, faults):
    """Return Krum's scores as the paper has them."""
    found = []
    for i, own in enumerate(updates):
        away = sorted(((own - x) ** 2).sum() for j, x in enumerate(updates) if j != i)
        found.append(sum(away[: len(updates) - faults - 2]))
    return np.array(found)


def test_krum_by_its_definition(updates):
    found = Krum(faults=3).combine(updates, EQUAL)
    np.testing.assert_array_equal(found, updates[scores(updates, 3).argmin()])


def test_multi_krum_by_its_definition(updates):
    best = sorted(range(11), key=lambda i: scores(updates, 3)[i])[:8]
    np.testing.assert_allclose(
        MultiKrum(faults=3).combine(updates, EQUAL), updates[best].mean(axis=0), rtol=1e-12
    )


def test_bulyan_by_its_definition(updates):
    left, chosen = list(range(11)), []
    while len(chosen) < 7:
        chosen.append(left.pop(int(scores(updates[left], 2).argmin())))
    wanted = []
    for values in updates[chosen].T:
        # Of all sets of three, the one nearest to the median.
        near = min(
            itertools.combinations(values, 3),
            key=lambda s: sum(abs(v - np.median(values)) for v in s),
        )
        wanted.append(np.mean(near))
    np.testing.assert_allclose(Bulyan(faults=2).combine(updates, EQUAL), wanted, rtol=1e-12)


def test_a_trimmed_mean_by_its_definition(updates):
    wanted = [np.mean(sorted(values)[2:-2]) for values in updates.T]
    np.testing.assert_allclose(TrimmedMean(share=0.2).combine(updates, EQUAL), wanted, rtol=1e-12)


def test_clipping_shortens_to_the_limit():
    updates, weights = np.array([[3.0, 4.0], [0.3, 0.4]]), np.array([1.0, 3.0])
    found = NormClipping(limit=1.0).combine(updates, weights)
    np.testing.assert_allclose(found, (np.array([0.6, 0.8]) + 3 * updates[1]) / 4)


@pytest.mark.parametrize("name", [n for n in AGGREGATIONS if n not in ("mean", "normClipping")])
def test_two_silos_that_lie_move_a_rule_no_further_than_the_honest_are_apart(name, updates):
    lying = np.concatenate([updates[:9], np.full((2, 4), 1e9)])
    rule = TrimmedMean(share=0.2) if name == "trimmedMean" else aggregation_of(name)
    found = rule.combine(lying, EQUAL)
    assert (found >= updates[:9].min(axis=0)).all()
    assert (found <= updates[:9].max(axis=0)).all()


def test_too_few_silos_for_the_faults_are_told(updates):
    with pytest.raises(TrainingError, match="too_few_silos"):
        Krum(faults=5).combine(updates, EQUAL)
    with pytest.raises(TrainingError, match="too_few_silos"):
        Bulyan().combine(updates[:2], EQUAL[:2])


@pytest.mark.parametrize(
    "given", ["mode", {"name": "krum", "silos": 3}, TrimmedMean(share=0.5), Krum(faults=-1), 3]
)
def test_what_is_no_rule_is_refused(given):
    with pytest.raises(ConfigurationError, match="invalid_param"):
        aggregation_of(given)
