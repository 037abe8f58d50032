"""The laws of the noise and of the sampling, by drawing with a fixed seed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.privacy import (
    NoiseSource,
    Perturbation,
    RecordPrivacy,
    SiloPrivacy,
    sum_sensitivity,
)

# Chance with which a right law fails; the seeds are fixed, so that it does not from run to run.
LEAST = 1e-3


def test_continuous_noise_has_its_law():
    noise = NoiseSource(seed=1)
    assert stats.kstest(noise.normal((100, 200), 2.5).ravel(), "norm", (0, 2.5)).pvalue > LEAST
    assert stats.kstest(noise.laplace(20_000, 0.7), "laplace", (0, 0.7)).pvalue > LEAST
    assert stats.kstest(noise.uniform(20_000), "uniform").pvalue > LEAST
    # Both halves of Box and Muller's pairs, and neighbours, are independent.
    drawn = noise.normal(20_000)
    for other in (drawn[10_000:], np.roll(drawn, 1)[:10_000]):
        assert abs(np.corrcoef(drawn[:10_000], other)[0, 1]) < 0.03


@pytest.mark.parametrize("scale", [0.6, 3.0])
def test_discrete_noise_has_its_law(scale):
    noise = NoiseSource(seed=2)
    x = np.arange(-60, 61)
    for drawn, law in (
        (noise.discrete_gaussian(1500, scale), np.exp(-(x**2) / (2 * scale**2))),
        (noise.discrete_laplace(1500, scale), np.exp(-abs(x) / scale)),
    ):
        expected = 1500 * law / law.sum()
        common = expected >= 5
        seen = np.array([(drawn == value).sum() for value in x])
        found = np.append(seen[common], 1500 - seen[common].sum())
        wanted = np.append(expected[common], 1500 - expected[common].sum())
        if wanted[-1] < 5:  # the tails join their neighbour
            found, wanted = found[:-1], wanted[:-1] * found[:-1].sum() / wanted[:-1].sum()
        assert stats.chisquare(found, wanted).pvalue > LEAST


def test_numbers_below_a_bound_are_equally_likely():
    noise = NoiseSource(seed=3)
    drawn = np.bincount([noise.below(6) for _ in range(3000)], minlength=6)
    assert stats.chisquare(drawn).pvalue > LEAST
    assert {noise.below(1) for _ in range(9)} == {0}


def test_noise_is_secret_unless_a_seed_is_given(caplog):
    assert not np.array_equal(NoiseSource().normal(8), NoiseSource().normal(8))
    assert not caplog.records
    np.testing.assert_array_equal(NoiseSource(seed=4).normal(8), NoiseSource(seed=4).normal(8))
    assert "for tests only" in caplog.text


def test_rows_are_sampled_as_the_accountant_assumes():
    # Each row by itself with the rate, in each step anew: sizes are binomial, rows and steps are
    # independent.
    n, steps, rate = 60, 2000, 0.07
    taken = np.zeros((steps, n), bool)
    privacy = RecordPrivacy(1.0, 1.0, rate)
    for step, rows in enumerate(privacy.batches(n, steps, NoiseSource(seed=5))):
        taken[step, rows] = True
    sizes = np.bincount(taken.sum(axis=1), minlength=n + 1)
    law = steps * stats.binom.pmf(np.arange(n + 1), n, rate)
    common = law >= 5
    found = np.append(sizes[common], steps - sizes[common].sum())
    wanted = np.append(law[common], steps - law[common].sum())
    assert stats.chisquare(found, wanted).pvalue > LEAST
    each = taken.sum(axis=0)
    assert stats.chisquare(each, np.full(n, each.mean())).pvalue > LEAST
    correlation = np.corrcoef(taken, rowvar=False)[np.triu_indices(n, 1)]
    # Independent columns correlate with a deviation of 1 / sqrt(steps).
    assert abs(correlation).max() < 5 / np.sqrt(steps)
    following = np.corrcoef(taken[:-1].ravel(), taken[1:].ravel())[0, 1]
    assert abs(following) < 4 / np.sqrt(n * steps)
    assert privacy.steps_of(3) == 43


def test_silos_are_sampled_one_by_one():
    privacy = SiloPrivacy(1.0, 1.0, 0.3)
    noise = NoiseSource(seed=6)
    names = list("abcdefgh")
    rounds = [privacy.choose(names, noise) for _ in range(2000)]
    sizes = np.bincount([len(chosen) for chosen in rounds], minlength=9)
    law = 2000 * stats.binom.pmf(np.arange(9), 8, 0.3)
    assert stats.chisquare(sizes[:7], law[:7] * sizes[:7].sum() / law[:7].sum()).pvalue > LEAST
    assert SiloPrivacy(1.0, 1.0).choose(names, noise) == names


def test_statistics_get_noise_in_proportion_to_their_sensitivity():
    lower, upper = np.array([0.0, -3.0]), np.array([4.0, 2.0])
    assert sum_sensitivity(lower, upper) == 5.0
    assert sum_sensitivity(lower, upper, "laplace") == 7.0
    exact = np.array([100.0, -20.0])
    noise = NoiseSource(seed=7)
    for mechanism, deviation in (("gaussian", 1.5 * 5.0), ("laplace", 1.5 * 7.0 * np.sqrt(2))):
        perturbation = Perturbation(1.5, mechanism)
        sensitivity = sum_sensitivity(lower, upper, mechanism)
        drawn = np.array([perturbation.apply(exact, sensitivity, noise) for _ in range(4000)])
        np.testing.assert_allclose(drawn.std(axis=0), deviation, rtol=0.05)
        np.testing.assert_allclose(drawn.mean(axis=0), exact, atol=4 * deviation / np.sqrt(4000))
    counts = Perturbation(1.0, "discrete_laplace").apply(np.array([5, 0, 9]), 1.0, noise)
    assert counts.dtype == np.int64
    with pytest.raises(ConfigurationError, match="Discrete noise is for integers"):
        Perturbation(1.0, "discrete_laplace").apply(np.array([5.5]), 1.0, noise)
    with pytest.raises(ConfigurationError, match="sensitivity"):
        Perturbation(1.0).apply(exact, 0.0, noise)
    with pytest.raises(ConfigurationError, match="needs a delta"):
        Perturbation.with_epsilon(1.0)
