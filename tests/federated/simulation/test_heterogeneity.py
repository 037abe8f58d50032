"""Measures of how much silos differ, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.federated import Federation
from sparkml_dist.federated.simulation import heterogeneity


def test_equal_silos_do_not_differ():
    X, y = np.arange(12.0).reshape(6, 2), np.arange(6) % 2
    found = heterogeneity(Federation.in_memory({"a": (X, y), "b": (X, y)}))
    assert list(found.to_dict().values()) == [0, 0, 0]
    assert (found.table["rows"] == 6).all()


def test_silos_of_one_class_each():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    X[30:, 0] += 5
    X[0, 1] = np.nan
    silos = {"a": (X[:30], np.zeros(30, int)), "b": (X[30:], np.ones(10, int))}
    found = heterogeneity(Federation.in_memory(silos))
    table = found.table.set_index("silo")
    assert table.loc["a", "label_distance"] == pytest.approx(0.25)
    assert table.loc["b", "label_distance"] == pytest.approx(0.75)
    assert found.label_distance == pytest.approx(0.75 * 0.25 + 0.25 * 0.75)
    # H((p + q) / 2) - (H(p) + H(q)) / 2, in bits, of (1, 0) and (3/4, 1/4).
    entropy = [-(p * np.log2(p) + (1 - p) * np.log2(1 - p)) for p in (0.875, 0.75)]
    assert table.loc["a", "js_divergence"] == pytest.approx(entropy[0] - entropy[1] / 2)
    assert found.quantity_gini == pytest.approx(0.25)  # of 10 and 30
    shift = (X[30:, 0].mean() - X[:, 0].mean()) / X[:, 0].std()
    assert table.loc["b", "largest_feature_shift"] == pytest.approx(shift)


def test_targets():
    X = np.ones((8, 1))
    silos = {"a": (X[:4], np.zeros(4)), "b": (X[4:], np.ones(4))}
    found = heterogeneity(Federation.in_memory(silos, regression=True))
    assert found.label_distance == pytest.approx(1.0)  # half a unit, of a standard deviation of 0.5
    assert found.feature_shift == 0
