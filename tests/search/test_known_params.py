"""The parameters of a learner that a search may set."""

from __future__ import annotations

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sparkml_dist.search.known_params import known_params, own_params


def test_what_scikit_learn_says_and_no_more():
    learner = make_pipeline(StandardScaler(), LogisticRegression(C=2.0))
    assert own_params(learner) == learner.get_params()


def test_parameters_that_catboost_does_not_name_before_they_are_set():
    catboost = pytest.importorskip("catboost")
    learner = catboost.CatBoostClassifier(iterations=10)
    assert {"depth", "iterations", "l2_leaf_reg"} <= set(known_params(learner))
    assert own_params(learner)["iterations"] == 10
    assert "catboostclassifier__depth" in known_params(make_pipeline(StandardScaler(), learner))
