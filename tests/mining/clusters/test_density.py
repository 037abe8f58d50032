"""Core points and their components in one process, against scikit-learn."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.cluster import DBSCAN as Reference

from sparkml_dist.mining.clusters import density
from sparkml_dist.mining.clusters.density import core_components, core_mask
from sparkml_dist.mining.clusters.space_partition import SpacePartition, partition_space

sys.path.insert(0, str(Path(__file__).parent))
from shapes import canonical, shapes

SHAPES = shapes()


def agree(points, eps, least):
    wanted = Reference(eps=eps, min_samples=least).fit(points)
    core = core_mask(points, len(points), eps, least)
    assert np.flatnonzero(core).tolist() == wanted.core_sample_indices_.tolist()
    assert canonical(core_components(points[core], eps)) == canonical(wanted.labels_[core])


@pytest.mark.parametrize("name", SHAPES)
def test_core_points_and_components(name):
    points, radii = SHAPES[name]
    for eps in radii:
        agree(points, eps, 5)


@pytest.mark.parametrize("width", [2, 5])
def test_in_small_steps(monkeypatch, width):
    monkeypatch.setattr(density, "_PAIRS", 64)
    monkeypatch.setattr(density, "_CELL_PAIRS", 64)
    rng = np.random.default_rng(0)
    agree(rng.normal(size=(300, width)), 0.25 * width, 4)
    agree(np.repeat(rng.normal(size=(30, width)), 10, axis=0), 0.5, 12)


@given(
    hnp.arrays(
        np.float64, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=st.integers(-3, 3)
    ),
    st.sampled_from([0.5, 1.0, 1.5, 2.0]),
    st.integers(1, 6),
)  # fmt: skip
def test_any_points_of_a_lattice(points, eps, least):
    agree(points, eps, least)


@given(st.integers(0, 1000), st.integers(1, 9), st.sampled_from([0.05, 0.2, 0.7]))
def test_a_cut_places_every_point_once_and_all_that_are_near(seed, parts, reach):
    points = np.random.default_rng(seed).normal(size=(300, 2))
    cut = partition_space(points, reach, parts)
    assert 1 <= cut.parts <= parts
    again = SpacePartition.from_dict(cut.to_dict())
    assert (again.low == cut.low).all() and (again.high == cut.high).all()
    home = cut.home(points)
    for part, own, halo in cut.placed(points, reach):
        assert (home[own] == part).all()
        assert not set(own) & set(halo)
        mine = points[own]
        apart = np.setdiff1d(np.arange(len(points)), np.append(own, halo))
        if len(mine) and len(apart):
            gaps = np.linalg.norm(points[apart][:, None] - mine[None], axis=2)
            assert gaps.min() > reach
    assert len(home) == len(points)


def test_equal_points_cannot_be_cut():
    assert partition_space(np.zeros((100, 3)), 0.1, 8).parts == 1
