"""Bags are functions of key, seed and member, with the statistics of a bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.members.sampling import Sampling, feature_subset, member_seed, poisson_counts

KEYS = np.random.default_rng(0).integers(-(2**62), 2**62, 30_000)


@pytest.mark.parametrize("rate", [1.0, 0.3])
def test_counts_are_poisson(rate):
    counts = poisson_counts(KEYS, rate, 1, 0)
    observed = np.bincount(counts, minlength=4)[:4]
    expected = stats.poisson.pmf(range(4), rate) * len(KEYS)
    assert abs(observed - expected).max() < 5 * np.sqrt(expected.max())


def test_scalar_and_array_rates_agree():
    rates = np.full(len(KEYS), 0.7)
    assert np.array_equal(poisson_counts(KEYS, 0.7, 1, 2), poisson_counts(KEYS, rates, 1, 2))


def test_bags_differ_between_members_and_repeat_within_one():
    first, second = poisson_counts(KEYS, 1.0, 1, 0), poisson_counts(KEYS, 1.0, 1, 1)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    assert np.array_equal(first[::-1], poisson_counts(KEYS[::-1], 1.0, 1, 0))
    # In any version: members that are added by a resumed fit draw as those before.
    some = np.array([0, 1, -1, 7, 2**62, -(2**62), 12345, 99])
    assert poisson_counts(some, 1.0, 1, 0).tolist() == [2, 0, 0, 0, 0, 2, 1, 2]
    assert poisson_counts(some, 1.0, 1, 1).tolist() == [2, 1, 2, 3, 1, 2, 1, 1]
    out_of_bag = (first == 0).mean()
    assert abs(out_of_bag - np.exp(-1)) < 0.01


def test_pasting_keeps_a_share_without_replacement():
    kept = Sampling.of("pasting", 0.25).kept(KEYS, 0, 3)
    assert abs(kept.mean() - 0.25) < 0.01
    assert Sampling.of("pasting").kept(KEYS, 0, 3) is None
    assert Sampling.of("bagging", 0.5).kept(KEYS, 0, 3) is None


def test_feature_subsets():
    subset = feature_subset(50, 20, 0, 1)
    assert len(set(subset)) == 20
    assert (np.diff(subset) > 0).all()
    assert not np.array_equal(subset, feature_subset(50, 20, 0, 2))
    chosen = np.concatenate([feature_subset(50, 20, 0, m) for m in range(500)])
    assert stats.chisquare(np.bincount(chosen)).pvalue > 1e-4
    assert Sampling.of("subspaces", max_features=0.01).features(10, 0, 0).size == 1
    assert Sampling.of("bagging").features(10, 0, 0) is None


def test_counts_are_shares_of_what_there_is():
    assert Sampling.of("pasting", 25).sized(100).max_samples == 0.25
    assert Sampling.of("bagging", 1).sized(100).max_samples == 0.01  # one row
    assert Sampling.of("bagging", 1.0).sized(100).max_samples == 1.0  # all of them
    assert Sampling.of("bagging", 500).sized(100).max_samples == 1.0
    assert Sampling.of("patches", 25, 3).features(10, 0, 0).size == 3


def test_member_seeds_differ():
    assert len({member_seed(0, m) for m in range(1000)}) == 1000
    assert all(0 <= member_seed(s, 0) < 2**31 for s in range(-5, 5))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("boosting",), "invalid_param"),
        (("bagging", 0.0), "invalid_param"),
        (("bagging", 1.5), "invalid_param"),
        (("bagging", 0), "invalid_param"),
        (("balanced", 100), "invalid_param"),
        (("patches", None, 2.0), "invalid_param"),
    ],
)
def test_refusals(arguments, code):
    with pytest.raises(ConfigurationError) as caught:
        Sampling.of(*arguments)
    assert caught.value.code == code
