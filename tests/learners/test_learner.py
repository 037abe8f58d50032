"""What is found out about a learner before many are fitted."""

from __future__ import annotations

import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LinearRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.learners.learner import Traits, learner_from_path, prepare, refuse_unusable


def test_traits():
    assert Traits.of(DecisionTreeClassifier()).weight_parameter == "sample_weight"
    assert Traits.of(KNeighborsClassifier()).weight_parameter is None
    assert Traits.of(HistGradientBoostingClassifier()).allows_missing
    assert not Traits.of(KNeighborsClassifier()).allows_missing
    assert Traits.of(HistGradientBoostingClassifier()).dtype == "float64"
    assert not Traits.of(HistGradientBoostingClassifier()).allows_sparse
    pipeline = make_pipeline(StandardScaler(), DecisionTreeClassifier())
    assert Traits.of(pipeline).weight_parameter == "decisiontreeclassifier__sample_weight"
    assert not Traits.of(RidgeClassifier()).probabilistic


def test_learner_from_path():
    tree = learner_from_path("sklearn.tree.DecisionTreeClassifier", {"max_depth": 3})
    assert tree.max_depth == 3
    assert isinstance(learner_from_path("RandomForestClassifier"), RandomForestClassifier)


@pytest.mark.parametrize(
    ("path", "params", "code", "text"),
    [
        ("sklearn.treee.DecisionTreeClassifier", {}, "unknown_estimator", "sklearn.treee"),
        (
            "sklearn.tree.DecisionTreeClasifier",
            {},
            "unknown_estimator",
            "Did you mean 'DecisionTreeClassifier'",
        ),
        ("DecisionTreeClasifier", {}, "unknown_estimator", "Did you mean"),
        ("sklearn.tree.export_text", {}, "not_an_estimator", "not a scikit-learn estimator"),
        (
            "sklearn.tree.DecisionTreeClassifier",
            {"max_dept": 3},
            "unknown_estimator_parameter",
            "Did you mean 'max_depth'",
        ),
    ],
)
def test_unknown_paths_and_parameters(path, params, code, text):
    with pytest.raises(ConfigurationError, match=text) as caught:
        learner_from_path(path, params)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("learner", "voting", "code"),
    [
        (LinearRegression(), "soft", "not_a_classifier"),
        (DecisionTreeClassifier, "soft", "not_an_estimator"),
        ("tree", "soft", "not_an_estimator"),
        (DecisionTreeClassifier(max_depth=-1), "soft", "invalid_estimator_parameter"),
        (RidgeClassifier(), "soft", "no_probabilities"),
    ],
)
def test_unusable_learners(learner, voting, code):
    with pytest.raises(ConfigurationError) as caught:
        refuse_unusable(learner, voting=voting)
    assert caught.value.code == code


def test_hard_voting_needs_no_probabilities():
    assert refuse_unusable(RidgeClassifier(), voting="hard").name == "RidgeClassifier"


def test_prepare_sets_nested_seeds_and_jobs():
    forest = RandomForestClassifier(n_jobs=-1)
    learner = make_pipeline(StandardScaler(), forest)
    ready = prepare(learner, 7, 1)
    params = ready.get_params()
    assert params["randomforestclassifier__n_jobs"] == 1
    assert isinstance(params["randomforestclassifier__random_state"], int)
    assert forest.n_jobs == -1
    assert prepare(learner, 7, 1).get_params().keys() == params.keys()
    assert prepare(forest, 7, 2).random_state == 7
