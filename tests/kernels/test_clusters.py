"""Clusters in the space of a kernel, without Spark: exact kernel k-means, rings, scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_circles
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.pairwise import rbf_kernel

from sparkml_dist.dataset.block import Block
from sparkml_dist.errors import DataError
from sparkml_dist.kernels.clusters.embedding import (
    Embedding,
    degree_sums,
    graph_sums,
    spectral_embedding,
)
from sparkml_dist.kernels.clusters.lloyd import nearest, step_of_block, whole_k_means
from sparkml_dist.kernels.functions.families import kernel_of
from sparkml_dist.kernels.nystroem_map import NystroemMap
from sparkml_dist.kernels.scaling import Scaling
from sparkml_dist.kernels.settings import Centered
from tests.kernels.rows import MemoryRows

RINGS, RING = make_circles(400, factor=0.3, noise=0.05, random_state=0)
SETTINGS = {"seed": 0, "sample": 400, "max_iter": 50, "tol": 1e-9}


def features(length_scale, centers=RINGS):
    found = Centered(kernel_of("rbf", length_scale), Scaling.none(2), centers)
    return NystroemMap.of(found)


def test_with_every_row_as_a_centre_distances_are_those_of_the_kernel():
    embedding, source = Embedding(features(0.5)), MemoryRows(RINGS, RING)
    found = whole_k_means(source, embedding, 3, **SETTINGS)
    label, squared = nearest(embedding.points(RINGS), found.centers)
    gram = rbf_kernel(RINGS, gamma=2.0)
    exact = np.empty((400, 3))
    for j in range(3):
        own = label == j
        inside = gram[np.ix_(own, own)].mean()
        exact[:, j] = 1 - 2 * gram[:, own].mean(axis=1) + inside
    assert found.converged and found.sizes.tolist() == sorted(np.bincount(label))[::-1]
    assert (exact.argmin(axis=1) == label).all()
    assert squared == pytest.approx(exact.min(axis=1), abs=1e-8)
    assert found.inertia == pytest.approx(squared.sum(), rel=1e-6)


def test_blocks_change_nothing():
    one, two = (
        whole_k_means(MemoryRows(RINGS, RING, None, n), Embedding(features(0.5)), 3, **SETTINGS)
        for n in (1, 5)
    )
    assert one.centers == pytest.approx(two.centers, abs=1e-9)


def test_weights_are_repetitions():
    weight = np.random.default_rng(1).integers(0, 3, len(RINGS))
    again = np.repeat(np.arange(len(RINGS)), weight)
    rows, mapped = MemoryRows(RINGS, RING, weight.astype(np.float32)), features(0.5, RINGS[::8])
    repeated = MemoryRows(RINGS[again], RING[again], blocks=5)
    block, whole = (Block(r.X, r.y, r.weight, np.arange(len(r.X))) for r in (rows, repeated))
    total = degree_sums(whole, mapped)["total"]
    assert degree_sums(block, mapped)["total"] == pytest.approx(total)
    gram = graph_sums(whole, mapped, total)["gram"]
    assert graph_sums(block, mapped, total)["gram"] == pytest.approx(gram)
    centers = mapped.features(RINGS[:3])
    one, two = (step_of_block(b, Embedding(mapped), centers) for b in (block, whole))
    for name in ("sum", "weight", "inertia"):
        assert one[name] == pytest.approx(two[name]), name


def test_spectral_clustering_tells_rings_apart():
    mapped, source = features(0.15, RINGS[:150]), MemoryRows(RINGS, RING)
    total = source.add(degree_sums, (mapped,))["total"]
    gram = source.add(graph_sums, (mapped, total))["gram"]
    # The first eigenvalue of a normalized graph is 1, but for what centres do not explain.
    assert np.linalg.eigvalsh(gram)[-1] == pytest.approx(1.0, abs=1e-6)
    embedding = spectral_embedding(mapped, total, gram, 2)
    found = whole_k_means(source, embedding, 2, **SETTINGS)
    label, _ = nearest(embedding.points(RINGS), found.centers)
    assert adjusted_rand_score(RING, label) > 0.99
    # The first two eigenvectors are those of the whole graph.
    graph = rbf_kernel(RINGS, gamma=1 / (2 * 0.15**2))
    degree = graph.sum(axis=1)
    values = np.linalg.eigvalsh(graph / np.sqrt(np.outer(degree, degree)))
    assert np.linalg.eigvalsh(gram)[-2:] == pytest.approx(values[-2:], abs=1e-3)


def test_more_clusters_than_distinct_rows_are_refused():
    rows = np.repeat(RINGS[:3], 10, axis=0)
    with pytest.raises(DataError, match="k is 4") as caught:
        whole_k_means(
            MemoryRows(rows, np.zeros(30)), Embedding(features(0.5, RINGS[:3])), 4, **SETTINGS
        )
    assert caught.value.code == "too_few_rows"
