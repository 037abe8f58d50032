"""Naive Bayes over silos against scikit-learn's on all rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.naive_bayes import CategoricalNB, GaussianNB

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated import Federation
from sparkml_dist.federated.ensembles.naive_bayes import federated_naive_bayes


def silos(X, y, w=None):
    at = np.arange(len(y)) % 3
    parts = (X, y) if w is None else (X, y, w)
    return {f"s{i}": tuple(p[at == i] for p in parts) for i in range(3)}


@pytest.mark.parametrize("weighted", [False, True])
def test_gaussian(weighted):
    rng = np.random.default_rng(0)
    X = rng.normal(1e4, 1, (90, 3)) + np.arange(3)
    y = np.arange(90) // 40
    w = rng.integers(1, 4, 90).astype(np.float32) if weighted else None
    found = federated_naive_bayes(Federation.in_memory(silos(X, y, w)))
    pooled = GaussianNB().fit(X, y, w)
    np.testing.assert_allclose(found.theta_, pooled.theta_, rtol=1e-13)
    np.testing.assert_allclose(found.var_, pooled.var_, rtol=1e-9)
    np.testing.assert_allclose(found.predict_proba(X), pooled.predict_proba(X), atol=1e-9)


def test_categorical():
    rng = np.random.default_rng(1)
    X = np.column_stack([rng.integers(0, 3, 60), rng.integers(0, 4, 60)]).astype(float)
    y = (X[:, 0] + rng.integers(0, 2, 60) > 1).astype(int)
    known = {"a": ["p", "q", "r"], "b": ["w", "x", "y", "z"]}
    federation = Federation.in_memory(silos(X, y), names=["a", "b"], categories=known)
    found = federated_naive_bayes(federation)
    pooled = CategoricalNB(min_categories=[3, 4]).fit(X.astype(int), y)
    np.testing.assert_allclose(found.predict_proba(X), pooled.predict_proba(X), rtol=1e-12)
    np.testing.assert_array_equal(found.classes_, pooled.classes_)


def test_numbers_and_categories_are_refused():
    X = np.column_stack([np.arange(6) % 2, np.arange(6)]).astype(float)
    federation = Federation.in_memory(
        silos(X, np.arange(6) % 2), names=["a", "b"], categories={"a": ["p", "q"]}
    )
    with pytest.raises(ConfigurationError, match="either numbers or categories"):
        federated_naive_bayes(federation)
