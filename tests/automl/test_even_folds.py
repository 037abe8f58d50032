"""Folds of few rows: none is empty, whatever the keys."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from sparkml_dist.automl.even_folds import _EvenFolds
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.splits import folds
from sparkml_dist.errors import DataError


def table(key, y=None, classes=()):
    key = np.asarray(key, np.int64)
    block = Block(np.zeros((len(key), 0)), np.zeros(len(key)) if y is None else y, None, key)
    label = SimpleNamespace(classes=list(classes))
    return SimpleNamespace(
        shards=[None],
        manifest=SimpleNamespace(label=label),
        read_block=lambda shards, features: block,
    )


def keys(rows, seed):
    return np.random.default_rng(seed).integers(-(2**63), 2**63 - 1, rows)


@pytest.mark.parametrize("rows", [5, 8, 12, 20, 30])
def test_no_fold_of_few_rows_is_empty(rows):
    for seed in range(20):
        key = keys(rows, seed)
        found = _EvenFolds(table(key), 5, seed)(0)
        counts = np.bincount(folds(key, found["folds"], seed=found["seed"]))
        assert len(counts) == found["folds"] >= 4 and counts.min() >= 1


def test_classes_are_spread_over_the_folds():
    key, y = keys(40, 1), np.repeat([0, 1], [32, 8])
    found = _EvenFolds(table(key, y, "ab"), 5, 0)(0)
    fold = folds(key, found["folds"], seed=found["seed"])
    assert np.bincount(fold[y == 1], minlength=5).min() >= 1
    assert found == _EvenFolds(table(key, y, "ab"), 5, 0)(0)


def test_fewer_keys_than_folds():
    assert _EvenFolds(table([7, 7, 7, 9, 9]), 5, 0)(0)["folds"] == 2
    with pytest.raises(DataError) as caught:
        _EvenFolds(table([7] * 9), 5, 0)(0)
    assert caught.value.code == "too_few_rows"
