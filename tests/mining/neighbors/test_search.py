"""The search among cells against comparing with every point of the cells that are visited."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparkml_dist.mining.neighbors.blocks import Block, Blocks
from sparkml_dist.mining.neighbors.search import _true_places, nearest_cells, nearest_in_cells
from sparkml_dist.persistence.filesystem import Folder


@given(hnp.arrays(bool, st.tuples(st.integers(0, 9), st.integers(1, 21))))
def test_true_places(mask):
    assert _true_places(mask).tolist() == np.flatnonzero(mask.ravel()).tolist()


@given(
    seed=st.integers(0, 1000),
    n=st.integers(31, 400),
    n_cells=st.integers(1, 30),
    probes=st.integers(1, 30),
    k=st.integers(1, 12),
    offset=st.sampled_from([0.0, 1000.0]),
)
def test_all_points_of_the_visited_cells_are_compared(seed, n, n_cells, probes, k, offset):
    rng = np.random.default_rng(seed)
    width, probes = 5, min(probes, n_cells)
    X = rng.normal(size=(n, width)) + offset
    X[1] = X[0]
    # No two alike: of cells that are equally near, all are visited.
    centres = X[rng.choice(np.arange(1, n), n_cells, replace=False)]
    origin = centres.mean(axis=0)
    near = (centres - origin).astype(np.float32)
    cell = nearest_cells((X - origin).astype(np.float32), near, 1)[:, 0].astype(np.int32)
    half = n // 2
    held = [Block(0, np.arange(half), X[:half], cell[:half])]
    held.append(Block(half, np.arange(half, n), X[half:], cell[half:]))
    blocks = Blocks(Folder.at("nowhere"), (), width, n, 0, held)
    queries = X[rng.integers(0, n, 20)] + rng.normal(size=(20, width)) * 0.1
    squared, rows = nearest_in_cells(queries, centres, blocks, k, probes)
    visited = nearest_cells((queries - origin).astype(np.float32), near, probes)
    for i, query in enumerate(queries):
        inside = np.isin(cell, visited[i])
        far = np.where(inside, ((X - query) ** 2).sum(axis=1), np.inf)
        wanted = np.sort(far)[:k]
        np.testing.assert_allclose(squared[i], wanted, rtol=1e-9, atol=1e-9)
        found = rows[i][rows[i] >= 0]
        assert len(set(found)) == len(found) == min(k, int(inside.sum()))
        np.testing.assert_allclose(far[found], squared[i][: len(found)], rtol=1e-9, atol=1e-9)
