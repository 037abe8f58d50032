"""Moments of the features: as numpy computes them, with missing values and sparse rows."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from sparkml_dist.dataset.block import Block
from sparkml_dist.deep.normalization import feature_moments
from sparkml_dist.deep.plan import Piece

PIECES = [Piece(0, i, 0, 40) for i in range(5)]


def _moments(X):
    def read(shard, groups):
        part = X[groups[0] * 40 : groups[0] * 40 + 40]
        return Block(part, np.zeros(part.shape[0], np.int32), None, np.arange(part.shape[0]))

    return feature_moments(read, PIECES, X.shape[1])


def test_like_numpy():
    rng = np.random.default_rng(0)
    X = rng.normal([0, 1000, -3, 5], [1, 0.5, 100, 0], (200, 4)).astype(np.float32)
    X[::3, 0] = np.nan
    mean, std = _moments(X)
    np.testing.assert_allclose(mean, np.nanmean(X.astype("f8"), axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(std[:3], np.nanstd(X.astype("f8"), axis=0)[:3], rtol=1e-4)
    assert std[3] == 1.0


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
