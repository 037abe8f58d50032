"""Learners at rest: stored without pickle, or refused before anything is written."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist.errors import StorageError, TrainingError
from sparkml_dist.persistence.learners import dump_learner, load_learner


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
