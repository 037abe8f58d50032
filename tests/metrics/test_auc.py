"""Bins for probabilities, and the area under the curve from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from sparkml_dist.metrics.auc import ProbabilityBins, area_under_roc

probabilities = st.lists(
    st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.5, 1e-9, 1 - 1e-9, 0.5 - 1e-12])),
    min_size=2,
    max_size=50,
)


@given(probabilities, st.sampled_from([1, 26, 1000]))
def test_bins_keep_the_order(values, histograms):
    bins = ProbabilityBins(histograms)
    index = bins.index(np.sort(values))
    assert (np.diff(index) >= 0).all()
    assert index.min() >= 0
    assert index.max() < bins.size


def test_bins_are_narrow_near_both_ends():
    bins = ProbabilityBins()
    for p in (1e-30, 1e-6, 0.01, 0.3, 0.4999):
        assert bins.index(np.array([p]))[0] < bins.index(np.array([p * (1 + 2**-10)]))[0]
    for q in (1e-12, 1e-6, 0.01, 0.3):
        assert bins.index(np.array([1 - q]))[0] > bins.index(np.array([1 - q * (1 + 2**-10)]))[0]


@pytest.mark.parametrize("histograms", [1, 2, 16, 26, 100, 10_000])
def test_all_histograms_together_stay_small(histograms):
    assert histograms * ProbabilityBins(histograms).size <= 1 << 22


@given(st.lists(st.tuples(st.integers(0, 7), st.booleans()), min_size=1, max_size=40))
def test_area_is_exact_where_scores_are_the_bins(rows):
    score = np.array([s for s, _ in rows])
    true = np.array([t for _, t in rows])
    positive = np.bincount(score[true], minlength=8).astype(float)
    negative = np.bincount(score[~true], minlength=8).astype(float)
    found = area_under_roc(positive, negative)
    if true.all() or not true.any():
        assert found is None
    else:
        assert found == pytest.approx(roc_auc_score(true, score), abs=1e-12)
