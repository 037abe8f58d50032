"""Clipped and noised gradients and updates: closed forms, and the scale of the noise."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.privacy import (
    AdaptiveClipping,
    NoiseSource,
    RecordPrivacy,
    SiloPrivacy,
)


def test_no_row_moves_a_step_by_more_than_the_norm():
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(40, 7)) * rng.lognormal(sigma=2.0, size=(40, 1))
    privacy = RecordPrivacy(1.5, 1.0, 0.1)
    total = privacy.clipped_sum(gradients)
    norms = np.linalg.norm(gradients, axis=1)
    expected = (gradients * np.minimum(1.0, 1.5 / norms)[:, None]).sum(axis=0)
    np.testing.assert_allclose(total, expected, rtol=1e-12)
    for row in range(40):
        without = privacy.clipped_sum(np.delete(gradients, row, axis=0))
        assert np.linalg.norm(total - without) <= 1.5 + 1e-12
    for bad in (np.nan, np.inf, 1e300):
        worse = np.vstack([gradients, np.full((1, 7), bad)])
        assert np.linalg.norm(privacy.clipped_sum(worse) - total) <= 1.5 + 1e-12
    parts = privacy.gradient_of(np.arange(40), 7, lambda rows: gradients[rows])
    np.testing.assert_allclose(parts, total, rtol=1e-12)
    assert not privacy.clipped_sum(np.zeros((0, 7))).any()


def test_a_step_is_noised_by_the_norm_and_divided_by_the_rows_it_expects():
    privacy = RecordPrivacy(2.0, 1.5, 0.25)
    total = np.full(20_000, 10.0)
    step = privacy.noised(total, 200, NoiseSource(seed=1))
    # Four standard errors of 20,000 draws.
    assert step.mean() == pytest.approx(10.0 / 50, abs=4 * 3.0 / 50 / np.sqrt(20_000))
    assert step.std() == pytest.approx(3.0 / 50, rel=0.02)
    assert RecordPrivacy.from_dict(json.loads(json.dumps(privacy.to_dict()))) == privacy


def test_updates_are_clipped_jointly_and_their_mean_is_noised():
    privacy = SiloPrivacy(0.5, 2.0, 0.5).of(20)
    update = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])}
    clipped, bit = privacy.clip(update)
    np.testing.assert_allclose(clipped["a"], [0.3, 0.0])
    np.testing.assert_allclose(clipped["b"], [[0.4]])
    assert bit == -0.5
    small, bit = privacy.clip({"a": np.array([0.1])})
    np.testing.assert_array_equal(small["a"], [0.1])
    assert bit == 0.5
    for bad in (np.nan, np.inf):
        clipped, bit = privacy.clip({"a": np.array([bad, 1.0])})
        assert not clipped["a"].any() and bit == -0.5
    mean = privacy.mean({"a": np.full(20_000, 3.0)}, NoiseSource(seed=2))["a"]
    assert mean.std() == pytest.approx(2.0 * 0.5 / 10, rel=0.02)
    assert mean.mean() == pytest.approx(0.3, abs=4 * 0.1 / np.sqrt(20_000))
    np.testing.assert_allclose(privacy.mean({"a": np.array([5.0])})["a"], [0.5])
    with pytest.raises(ConfigurationError, match="invalid_param"):
        SiloPrivacy(0.5, 2.0).mean({"a": np.zeros(1)})


def test_shares_of_the_noise_add_up_to_it():
    privacy = SiloPrivacy(0.5, 2.0, adaptive=AdaptiveClipping(count_noise=9.0)).of(7)
    noise = NoiseSource(seed=3)
    parts = [privacy.clip({"a": np.zeros(20_000)}, noise, share=7)[0]["a"] for _ in range(7)]
    wanted = privacy.update_noise * 0.5
    assert np.sum(parts, axis=0).std() == pytest.approx(wanted, rel=0.02)
    assert parts[0].std() == pytest.approx(wanted / np.sqrt(7), rel=0.02)
    bits = [privacy.clip({"a": np.zeros(1)}, noise, share=7)[1] - 0.5 for _ in range(3000)]
    assert np.std(bits) == pytest.approx(9.0 / np.sqrt(7), rel=0.06)


@pytest.mark.parametrize("quantile", [0.2, 0.5, 0.9])
def test_the_norm_follows_the_quantile_of_the_updates(quantile):
    # Norms are 1 to 100; the norm that has a share below it is that share of 100.
    norms = np.arange(1.0, 101.0)
    privacy = SiloPrivacy(1.0, 0.5, 1.0, AdaptiveClipping(quantile, 0.3, 2.0)).of(100)
    noise = NoiseSource(seed=4)
    path = []
    for _ in range(150):
        bits = sum(privacy.clip({"a": np.array([norm])})[1] for norm in norms)
        privacy = privacy.next(bits, noise)
        path.append(privacy.clip_norm)
    assert np.mean(path[100:]) == pytest.approx(100 * quantile, rel=0.1)
    again = SiloPrivacy.from_dict(json.loads(json.dumps(privacy.to_dict())))
    assert again == privacy
    assert SiloPrivacy(1.0, 0.5).next(3.0).clip_norm == 1.0


def test_settings_without_meaning_are_refused():
    for wrong in ((0.0, 1.0, 0.1), (1.0, -1.0, 0.1), (1.0, 1.0, 1.1), (np.nan, 1.0, 0.1)):
        for kind in (RecordPrivacy, SiloPrivacy):
            with pytest.raises(ConfigurationError, match="invalid_param"):
                kind(*wrong)
    with pytest.raises(ConfigurationError, match="invalid_param"):
        AdaptiveClipping(quantile=1.0)
