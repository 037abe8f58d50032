"""Intervals of scores, against published values and simulated rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from sparkml_dist.metrics.intervals import auc_interval, mean_interval, share_interval


def test_published_values():
    # Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I.
    for hits, rows, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)):
        assert share_interval(hits / rows, rows) == pytest.approx((low, high), abs=5e-5)
    assert share_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert share_interval(1.0, 29)[1] == 1.0
    # Hanley and McNeil (1982): an area of 0.893 from 51 and 58 cases has a standard error of 0.032.
    low, high = auc_interval(0.893, 51, 58)
    assert (high - low) / 2 / 1.96 == pytest.approx(0.032, abs=1e-3)


def test_they_cover_the_truth_in_about_95_of_100_cases():
    rng = np.random.default_rng(0)
    means, areas, runs = 0, 0, 400
    true_area = 0.8413  # of two normal distributions whose means differ by sqrt(2)
    for _ in range(runs):
        values = rng.exponential(2.0, 400)
        low, high = mean_interval(values.mean(), (values**2).mean(), 400)
        means += low <= 2.0 <= high
        scores = np.r_[rng.normal(np.sqrt(2), 1, 150), rng.normal(0, 1, 200)]
        area = roc_auc_score(np.r_[np.ones(150), np.zeros(200)], scores)
        low, high = auc_interval(area, 150, 200)
        areas += low <= true_area <= high
    for share in (means / runs, areas / runs):
        assert 0.91 < share < 0.985  # the standard error of the share is 0.011
