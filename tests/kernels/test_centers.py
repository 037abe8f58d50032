"""Centres and length scales of a sample."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.kernels.centers.chosen import CENTER_METHODS, chosen_centers, sample_size
from sparkml_dist.kernels.centers.leverage import leverage_scores
from sparkml_dist.kernels.functions.families import kernel_of
from sparkml_dist.kernels.length_scale import FACTORS, held_out_length_scale, median_distance
from sparkml_dist.kernels.nystroem_map import whitening
from sparkml_dist.kernels.sampled_rows import LowestDraws

RNG = np.random.default_rng(10)
X = RNG.normal(size=(300, 2))
KERNEL = kernel_of("rbf", 0.7)


@pytest.mark.parametrize("method", CENTER_METHODS)
def test_centres_are_distinct_rows_and_the_same_for_a_seed(method):
    rows = np.vstack([X, X[:50]])
    found = chosen_centers(rows, 40, method, KERNEL, 3)
    assert len(np.unique(found, axis=0)) == 40
    assert all((rows == center).all(axis=1).any() for center in found)
    assert np.array_equal(found, chosen_centers(rows, 40, method, KERNEL, 3))
    assert len(chosen_centers(rows, 300, method, KERNEL, 3)) == 300
    with pytest.raises(DataError, match="300 distinct") as caught:
        chosen_centers(rows, 301, method, KERNEL, 3)
    assert caught.value.code == "too_few_rows"


def test_chosen_centres_explain_more_than_random_ones():
    """Of rows in a dense clump and a wide cloud, the unexplained similarity is less."""
    rows = np.vstack([RNG.normal(scale=0.05, size=(900, 2)), RNG.normal(scale=3, size=(100, 2))])
    rows = rows[RNG.permutation(1000)]

    def unexplained(method):
        centers = chosen_centers(rows, 60, method, KERNEL, 0)
        mapped = KERNEL.matrix(rows, centers) @ whitening(KERNEL.matrix(centers, centers))
        return 1000 - (mapped**2).sum()

    random = unexplained("uniform")
    assert unexplained("kmeans++") < random / 2
    assert unexplained("leverage") < 0.75 * random


def test_leverage_scores_of_all_rows_are_exact():
    gram = KERNEL.matrix(X, X)
    exact = np.diag(gram @ np.linalg.inv(gram + 0.1 * np.eye(300)))
    assert leverage_scores(X, X, KERNEL, 0.1) == pytest.approx(exact, abs=1e-9)


def test_sample_sizes():
    assert sample_size("uniform", 5000) == 5000
    assert sample_size("kmeans++", 500) == 5000 and sample_size("leverage", 9000) == 20_000


def test_the_median_of_distances():
    assert median_distance(X, "euclidean") == pytest.approx(np.median(pdist(X)))
    assert median_distance(X, "manhattan") == pytest.approx(np.median(pdist(X, "cityblock")))
    copies = np.vstack([np.zeros((20, 1)), [[3.0]]])
    assert median_distance(copies, "euclidean") == 3.0
    with pytest.raises(DataError, match="All 5 rows"):
        median_distance(np.ones((5, 1)), "euclidean")


def test_the_length_scale_of_held_out_rows_follows_the_function():
    def best(speed):
        y = np.sin(speed * X[:, :1])
        return held_out_length_scale(X, y, {"name": "rbf"})

    middle = median_distance(X, "euclidean")
    assert best(6.0) < best(0.5)
    assert best(6.0) in [factor * middle for factor in FACTORS]
    with pytest.raises(ConfigurationError, match="half of the rows"):
        held_out_length_scale(X[:3], X[:3], {"name": "rbf"})


def test_whitened_features_have_the_kernel_as_inner_products():
    twice = np.vstack([X[:30], X[:10]])
    mapped = KERNEL.matrix(twice, twice) @ whitening(KERNEL.matrix(twice, twice))
    assert mapped.shape[1] <= 30
    assert mapped @ mapped.T == pytest.approx(KERNEL.matrix(twice, twice), abs=1e-8)


def test_the_lowest_draws_depend_on_no_order():
    draws = RNG.permutation(300) // 2 / 150  # pairs of equal draws
    found = []
    for order in (np.arange(300), RNG.permutation(300)):
        lowest = LowestDraws(41)
        for part in np.array_split(order, 7):
            lowest.add(draws[part], X[part], X[part, 0], None)
        found.append(lowest.kept())
    assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))
    assert len(found[0][0]) == 41 and (np.diff(found[0][0]) >= 0).all()
