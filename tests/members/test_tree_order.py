"""Rows that are reordered for trees have the same votes, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sparkml_dist.members.tree_order import tree_order
from tests.onnx.onnx_models import combiner, data


def _trees(kind, number=12):
    return [kind(max_depth=5, max_features=2, random_state=i) for i in range(number)]


@pytest.mark.parametrize("voting", ["soft", "hard", "mean"])
@pytest.mark.parametrize("missing", [False, True])
def test_the_same_votes(tmp_path, voting, missing):
    kind = DecisionTreeRegressor if voting == "mean" else DecisionTreeClassifier
    found = combiner(tmp_path, _trees(kind), voting, missing=missing, plain=True)
    X = data(5000, missing=missing)[0]
    order = tree_order(found.bank.load().learners, X)
    assert sorted(order) == list(range(5000)) and (order != np.arange(5000)).any()
    *_, plain = found.load_staged()(X)
    assert np.array_equal(found.load()(X), plain / found.raw_scale)


def test_where_it_does_not_pay_or_could_change_a_row(tmp_path):
    X, y, _ = data(5000)
    trees = [tree.fit(X, y) for tree in _trees(DecisionTreeClassifier)]
    assert tree_order(trees, X) is not None
    assert tree_order([RandomForestClassifier(12, max_depth=3).fit(X, y)], X) is not None
    assert tree_order(trees[:9], X) is None
    assert tree_order(trees, X[:4000]) is None
    assert tree_order(trees, X[:, :3]) is None
    assert tree_order(trees, X.astype(np.float64)) is None
    assert tree_order([*trees, LogisticRegression().fit(X, y)], X) is None
    assert tree_order(iter(trees), X) is None  # read again for each block
