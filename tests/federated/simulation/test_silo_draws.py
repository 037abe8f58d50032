"""The silos of a simulation as functions of keys and a seed."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.simulation import feature_shift, label_skew, quantity_skew
from sparkml_dist.federated.simulation.silo_draws import class_shares

KEY = np.random.default_rng(0).integers(-(2**62), 2**62, 6000)
LABEL = KEY % 3


def test_a_silo_depends_on_the_row_alone():
    whole = label_skew(KEY, LABEL, 5, alpha=0.3, seed=4)
    order = np.random.default_rng(1).permutation(len(KEY))
    np.testing.assert_array_equal(
        label_skew(KEY[order], LABEL[order], 5, alpha=0.3, seed=4), whole[order]
    )
    assert (label_skew(KEY, LABEL, 5, alpha=0.3, seed=5) != whole).any()


def test_classes_are_spread_as_drawn():
    shares = class_shares(3, 5, 0.5, 4)
    silos = label_skew(KEY, LABEL, 5, alpha=0.5, seed=4)
    for code in range(3):
        found = np.bincount(silos[code == LABEL], minlength=5) / (code == LABEL).sum()
        # Five standard deviations of a share of 2,000 rows.
        np.testing.assert_allclose(found, shares[code], atol=5 * 0.5 / np.sqrt(2000))


def test_the_law_of_the_shares():
    alpha, n = 0.4, 6
    shares = class_shares(4000, n, alpha, 0)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    # Mean and variance of a Dirichlet distribution; five standard errors of 4,000 draws.
    variance = (1 / n) * (1 - 1 / n) / (n * alpha + 1)
    np.testing.assert_allclose(shares.mean(axis=0), 1 / n, atol=5 * np.sqrt(variance / 4000))
    np.testing.assert_allclose(shares.var(axis=0), variance, rtol=0.15)


def test_a_tiny_alpha_gives_a_class_to_one_silo():
    shares = class_shares(50, 10, 1e-4, 0)
    assert np.isfinite(shares).all() and shares.max(axis=1).min() > 0.99


def test_rows_are_unequal():
    found = np.bincount(quantity_skew(KEY, 8, alpha=0.3, seed=1), minlength=8)
    np.testing.assert_allclose(found / 6000, class_shares(1, 8, 0.3, 1)[0], atol=0.035)


def test_features_are_shifted():
    values = (KEY % 1000).astype(float)
    means = {}
    for shift in (0.0, 1.0):
        silos = feature_shift(KEY, values, 4, shift=shift, seed=2)
        means[shift] = [values[silos == i].mean() for i in range(4)]
    assert np.ptp(means[0.0]) < 60 < 600 < np.ptp(means[1.0])
    missing = feature_shift(KEY, np.full(6000, np.nan), 4, shift=1.0)
    assert np.bincount(missing, minlength=4).min() > 1300


@pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"n_silos": 0}, {"alpha": np.nan}], ids=str)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        label_skew(KEY, LABEL, **{"n_silos": 3, **wrong})
