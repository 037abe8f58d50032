"""Learners at rest: stored without pickle, or refused before anything is written."""

from __future__ import annotations

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist.errors import StorageError, TrainingError
from sparkml_dist.persistence.learners import dump_learner, load_learner
from sparkml_dist.persistence.soundness.packed_trees import PackedTrees
from sparkml_dist.persistence.trusted_types import TRUSTED_TYPES


class Unstorable:
    def __getstate__(self):
        raise TypeError("it holds an open file")


def tree():
    return DecisionTreeClassifier(max_depth=2).fit([[0.0], [1.0], [2.0]], [0, 1, 1])


def test_a_learner_predicts_the_same_again():
    again = load_learner(dump_learner(tree()), "tree.skops")
    assert np.array_equal(again.predict([[0.0], [3.0]]), [0, 1])


def test_what_skops_cannot_store_is_named():
    learner = tree()
    learner.source_ = Unstorable()
    with pytest.raises(TrainingError, match="DecisionTreeClassifier.*open file") as caught:
        dump_learner(learner)
    assert caught.value.code == "not_storable"


def test_a_cut_file_is_named():
    content = dump_learner(tree())
    with pytest.raises(StorageError, match=r"tree\.skops"):
        load_learner(content[: len(content) // 2], "tree.skops")


def boostings():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4))
    X[:, 3] = rng.integers(0, 6, 300)
    X[::7, 0] = np.nan
    two, three = (X[:, 1] > 0).astype(int), np.digitize(X[:, 1], [-0.5, 0.5])
    few = {"max_iter": 6, "min_samples_leaf": 5}
    two_classes = HistGradientBoostingClassifier(**few).fit(X, two)
    categories = HistGradientBoostingClassifier(**few, categorical_features=[3]).fit(X, three)
    numbers = make_pipeline(StandardScaler(), HistGradientBoostingRegressor(**few)).fit(X, X[:, 2])
    return X, {"two": two_classes, "categories": categories, "pipeline": numbers}


@pytest.mark.parametrize("name", ["two", "categories", "pipeline"])
def test_boosted_trees_are_packed_and_come_back(name):
    X, learners = boostings()
    learner = learners[name]
    content = dump_learner(learner)
    assert dump_learner(learner) == content
    ask = "predict" if name == "pipeline" else "predict_proba"
    again = load_learner(content, "m")
    # As skops alone reads the file.
    bare = skops.io.loads(content, trusted=sorted(TRUSTED_TYPES))
    for found in (again, bare, learner):
        assert np.array_equal(getattr(found, ask)(X), getattr(learner, ask)(X))
    last = again[-1] if name == "pipeline" else again
    kept = bare[-1] if name == "pipeline" else bare
    assert isinstance(last._predictors, list)
    assert isinstance(kept._predictors, PackedTrees)
    assert [len(trees) for trees in kept._predictors] == [3 if name == "categories" else 1] * 6
    assert np.array_equal(kept._predictors[-1][0].nodes, last._predictors[-1][0].nodes)
    assert len(kept._predictors[2:4]) == 2
    if name == "categories":
        assert last._predictors[0][0].raw_left_cat_bitsets.shape[1] == 8


def test_files_from_before_trees_were_packed_can_be_read():
    X, learners = boostings()
    old = skops.io.dumps(learners["two"])
    assert np.array_equal(load_learner(old, "m").predict(X), learners["two"].predict(X))
