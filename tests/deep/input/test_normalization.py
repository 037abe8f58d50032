"""Moments of the features: as numpy computes them, with missing values and sparse rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from sparkml_dist.dataset.block import Block
from sparkml_dist.deep.classifier import KerasClassifier
from sparkml_dist.deep.input import normalization
from sparkml_dist.deep.input.normalization import sample_moments
from tests.long import cases

GROUPS = [(i, 0, 40) for i in (3, 1, 0, 4, 2)]
Y = np.random.default_rng(1).normal(50, 3, 200)


def _reader(X, seen=None):
    def read(shard, groups):
        assert groups == [0]
        if seen is not None:
            seen.append(shard)
        rows = slice(shard * 40, shard * 40 + 40)
        return Block(X[rows], Y[rows], None, np.arange(40))

    return read


def _moments(X):
    return sample_moments(_reader(X), GROUPS, X.shape[1])[0].mean_and_std()


def test_like_numpy():
    rng = np.random.default_rng(0)
    X = rng.normal([0, 1000, -3, 5], [1, 0.5, 100, 0], (200, 4)).astype(np.float32)
    X[::3, 0] = np.nan
    mean, std = _moments(X)
    np.testing.assert_allclose(mean, np.nanmean(X.astype("f8"), axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(std[:3], np.nanstd(X.astype("f8"), axis=0)[:3], rtol=1e-4)
    assert std[3] == 1.0


def test_the_label():
    X = np.zeros((200, 2), np.float32)
    (mean,), (std,) = sample_moments(_reader(X), GROUPS, 2)[1].mean_and_std()
    assert [mean, std] == pytest.approx([Y.mean(), Y.std()], rel=1e-6)


def test_a_feature_that_is_never_known():
    X = np.full((200, 2), np.nan, np.float32)
    X[:, 1] = 3
    mean, std = _moments(X)
    assert mean.tolist() == [0.0, 3.0]
    assert std.tolist() == [1.0, 1.0]


def test_sparse_as_dense():
    X = sp.random(200, 6, 0.3, format="csr", dtype=np.float32, random_state=0)
    for found, wanted in zip(_moments(X), _moments(X.toarray()), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("ranks", [2, 3, 7])
def test_ranks_share_the_reading_and_learn_the_same(ranks):
    X = np.random.default_rng(0).normal(3, 2, (200, 3)).astype(np.float32)
    X[5, 1] = np.nan
    sums, seen = [], []

    def kept(own):
        sums.append(own)
        return []

    for rank in range(ranks):  # what each rank has to give
        sample_moments(
            _reader(X, seen),
            GROUPS,
            3,
            rank=rank,
            ranks=ranks,
            gather=kept,
        )
    assert sorted(seen) == list(range(5))
    found, _ = sample_moments(_reader(X), GROUPS, 3, rank=1, ranks=ranks, gather=lambda _: sums)
    for one, alone in zip(found.mean_and_std(), _moments(X), strict=True):
        np.testing.assert_allclose(one, alone, rtol=1e-6)


def test_no_more_is_read_than_a_sample(monkeypatch):
    monkeypatch.setattr(normalization, "SAMPLE_ROWS", 100)
    X, seen = np.zeros((200, 2), np.float32), []
    sample_moments(_reader(X, seen), GROUPS, 2)
    assert seen == [3, 1, 0]


@pytest.mark.parametrize("unit", [1e-30, 1e-9, 1.0, 1e12])
def test_the_unit_does_not_matter(unit):
    rng = np.random.default_rng(0)
    X = (rng.normal([500, 0, 7], [20, 1, 0], (200, 3)) * unit).astype(np.float32)
    X[::5, 1] = np.nan
    wanted = np.nanstd(X.astype("f8"), axis=0)
    for given in (X, sp.csr_matrix(X)):
        mean, std = _moments(given)
        np.testing.assert_allclose(mean, np.nanmean(X.astype("f8"), axis=0), rtol=1e-6)
        np.testing.assert_allclose(std[:2], wanted[:2], rtol=1e-5)
        assert std[2] == 1.0


def test_a_small_spread_about_a_large_mean():
    rng = np.random.default_rng(0)
    X = (1.7e9 + rng.normal(0, [900, 200_000, 0], (200, 3))).astype(np.float32)
    assert np.unique(X[:, 2]).size == 1
    mean, std = _moments(X)
    np.testing.assert_allclose(std[:2], X.astype("f8").std(axis=0)[:2], rtol=1e-6)
    assert std[2] == 1.0
    assert mean[2] == X[0, 2]


UNITS = [(1e-9, 0.0), (1e-25, 0.0), (10.0, 1.7e9)]


@pytest.mark.long
@pytest.mark.parametrize(("unit", "offset"), cases(UNITS, UNITS[2:]))
def test_a_network_learns_in_any_unit(spark, unit, offset):
    label = np.arange(1000) % 2
    length = np.random.default_rng(0).normal(500, 20, 1000) + 200 * label
    df = spark.createDataFrame(pd.DataFrame({"length": length * unit + offset, "label": label}))
    model = KerasClassifier(
        builder="mlp", numRanks=1, numShards=1, epochs=8, batchSize=64, seed=1
    ).fit(df)
    assert model.transform(df).where("prediction = label").count() > 950
