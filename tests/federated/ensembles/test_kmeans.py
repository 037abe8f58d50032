"""k-means over silos against Lloyd's iterations on all rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans

from sparkml_dist.errors import DataError
from sparkml_dist.federated import Federation
from sparkml_dist.federated.ensembles.kmeans import federated_centers

PLACES = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 7.0]])


def rows():
    rng = np.random.default_rng(3)
    at = np.arange(150) % 3
    return PLACES[at] + rng.normal(0, 1, (150, 2)), at


def federation(X, at):
    # A silo of its own for each cluster, and one that has some rows of all.
    where = np.where(np.arange(len(X)) < 60, 3, at)
    y = np.zeros(len(X))
    return Federation.in_memory(
        {f"s{i}": (X[where == i], y[where == i]) for i in range(4)}, regression=True
    )


def test_the_centers_are_those_of_all_rows():
    X, at = rows()
    start = np.array([[1.0, 1.0], [2.0, 1.0], [1.0, 2.0]])
    found = federated_centers(federation(X, at), 3, start=start)
    pooled = KMeans(3, init=start, n_init=1, algorithm="lloyd", tol=0, max_iter=100).fit(X)
    np.testing.assert_allclose(found.centers, pooled.cluster_centers_, atol=1e-12)
    assert found.inertia == pytest.approx(pooled.inertia_, rel=1e-12)
    assert found.converged
    np.testing.assert_array_equal(found.sizes, np.bincount(pooled.labels_))


def test_the_silos_propose_the_start():
    X, at = rows()
    found = federated_centers(federation(X, at), 3)
    best = KMeans(3, n_init=5, random_state=0).fit(X)
    assert found.inertia == pytest.approx(best.inertia_, rel=1e-6)


def test_centers_of_few_rows_do_not_leave():
    X, at = rows()
    own = federation(X, at)
    _, answer = next(
        iter(own.ask("center_candidates", {"k": 40, "least_rows": 5, "sample_rows": 99}))
    )
    assert (answer.arrays["sizes"] >= 5).all()
    with pytest.raises(DataError, match="4 clusters"):
        federated_centers(federation(X[:8], at[:8]), 4)
