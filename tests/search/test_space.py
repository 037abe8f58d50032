"""Spaces: what users write becomes what samplers draw, and what contradicts itself is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.search.sources import StoredSource
from sparkml_dist.search.space import Space

TREE = DecisionTreeClassifier()


def draws(space, count, seed=0):
    rng = np.random.default_rng(seed)
    return [space.random(rng) for _ in range(count)]


@pytest.mark.parametrize(
    "grid",
    [
        {"max_depth": [3, 1, None], "criterion": ["gini", "entropy"], "ccp_alpha": [0.1, 0.0]},
        [{"max_depth": [2, 3]}, {"criterion": ["gini"], "max_depth": np.array([5, 4])}],
        {"class_weight": [None, {0: 1, 1: 2}], "max_features": ("sqrt", 0.5)},
    ],
)
def test_the_grid_is_scikit_learns(grid):
    space = Space.of(grid, TREE)
    settings = list(space.grid())
    assert [s.params for s in settings] == list(ParameterGrid(grid))
    assert space.size() == len(settings)
    assert all(type(v) is not np.int64 for s in settings for v in s.params.values())


@pytest.mark.parametrize(
    "frozen",
    [stats.loguniform(1e-3, 10), stats.norm(2, 3), stats.beta(0.5, 2), stats.expon(scale=4)],
)
def test_distributions_of_scipy_are_drawn_as_they_are(frozen):
    values = [s.params["ccp_alpha"] for s in draws(Space.of({"ccp_alpha": frozen}, TREE), 2000)]
    assert stats.kstest(values, frozen.cdf).pvalue > 0.01
    assert all(type(v) is float for v in values)


def test_whole_numbers_of_scipy():
    frozen = stats.poisson(4, loc=1)
    space = Space.of({"max_depth": frozen}, TREE)
    values = np.array([s.params["max_depth"] for s in draws(space, 4000)])
    seen, counts = np.unique(values, return_counts=True)
    expected = frozen.pmf(seen)
    often = expected * 4000 > 5
    assert np.abs(counts[often] / 4000 - expected[often]).max() < 0.025
    assert all(type(s.params["max_depth"]) is int for s in draws(space, 5))


@pytest.mark.parametrize(
    ("suggest", "cdf"),
    [
        (lambda t: t.suggest_float("ccp_alpha", 1.0, 5.0), stats.uniform(1, 4).cdf),
        (
            lambda t: t.suggest_float("ccp_alpha", 1e-4, 1.0, log=True),
            stats.loguniform(1e-4, 1).cdf,
        ),
    ],
)
def test_suggested_numbers_are_uniform(suggest, cdf):
    space = Space.of(lambda t: {"ccp_alpha": suggest(t)}, TREE)
    assert stats.kstest([s.params["ccp_alpha"] for s in draws(space, 2000)], cdf).pvalue > 0.01


def test_suggested_whole_numbers_and_steps():
    def space(trial):
        trial.suggest_int("max_depth", 1, 4)
        trial.suggest_int("min_samples_leaf", 1, 10, step=4)
        trial.suggest_int("max_leaf_nodes", 2, 64, log=True)
        trial.suggest_float("ccp_alpha", 0.0, 0.35, step=0.1)

    of = draws(Space.of(space, TREE), 3000)
    shares = {k: np.mean([s.params["max_depth"] == k for s in of]) for k in (1, 2, 3, 4)}
    assert all(abs(share - 0.25) < 0.03 for share in shares.values())
    assert {s.params["min_samples_leaf"] for s in of} == {1, 5, 9}
    assert np.allclose(sorted({s.params["ccp_alpha"] for s in of}), [0, 0.1, 0.2, 0.3])
    leaves = np.array([s.params["max_leaf_nodes"] for s in of])
    assert leaves.min() == 2 and leaves.max() == 64
    assert abs((leaves <= 11).mean() - 0.5) < 0.05


def nested(trial):
    if trial.suggest_categorical("kernel", ["linear", "poly", "rbf"]) == "linear":
        trial.suggest_float("C", 0.1, 1.0)
    else:
        trial.suggest_float("C", 10.0, 100.0)
        if trial.params["kernel"] == "poly":
            trial.suggest_int("degree", 2, trial.suggest_int("max_iter", 3, 5))


def test_what_is_asked_for_depends_on_what_was_drawn():
    of = [s.params for s in draws(Space.of(nested, SVC()), 300)]
    assert {p["kernel"] for p in of} == {"linear", "poly", "rbf"}
    for p in of:
        assert (p["C"] <= 1) == (p["kernel"] == "linear")
        assert ("degree" in p) == (p["kernel"] == "poly")
        assert p.get("degree", 0) <= p.get("max_iter", 0)


def test_a_function_of_lists_has_a_grid():
    def space(trial):
        if trial.suggest_categorical("criterion", ["gini", "entropy"]) == "gini":
            trial.suggest_int("max_depth", 1, 3)

    found = Space.of(space, TREE)
    assert [s.params for s in found.grid()] == [
        *({"criterion": "gini", "max_depth": k} for k in (1, 2, 3)),
        {"criterion": "entropy"},
    ]
    assert found.size() == 4
    assert found.size(most=3) is None
    assert Space.of(nested, SVC()).size() is None


def test_a_function_may_return_the_parameters():
    def space(trial):
        layers = trial.suggest_int("layers", 1, 3)
        return {"max_depth": layers * 10, "criterion": "gini"}

    params = [s.params for s in draws(Space.of(space, TREE), 20)]
    assert {p["max_depth"] for p in params} == {10, 20, 30}
    assert all(set(p) == {"max_depth", "criterion"} for p in params)


def test_several_estimators_with_parameters_of_their_own():
    learners = [("svm", SVC()), ("tree", TREE), ("plain", LogisticRegression())]
    spaces = {
        "svm": [{"kernel": ["rbf"], "gamma": [0.1, 1]}, {"kernel": ["linear"]}],
        "tree": {"max_depth": [1, 2]},
    }
    space = Space.of(spaces, learners)
    assert [(s.estimator, s.params) for s in space.grid()] == [
        ("svm", {"kernel": "rbf", "gamma": 0.1}),
        ("svm", {"kernel": "rbf", "gamma": 1}),
        ("svm", {"kernel": "linear"}),
        ("tree", {"max_depth": 1}),
        ("tree", {"max_depth": 2}),
        ("plain", {}),
    ]
    assert space.size() == 6
    names = [s.estimator for s in draws(space, 900)]
    assert all(abs(names.count(n) - 300) < 60 for n, _ in learners)

    def together(trial):
        if trial.estimator == "tree":
            trial.suggest_int("max_depth", 1, 9)

    drawn = draws(Space.of(together, learners), 50)
    assert {(s.estimator, tuple(s.params)) for s in drawn} == {
        ("svm", ()),
        ("tree", ("max_depth",)),
        ("plain", ()),
    }


def test_stored_points_give_the_same_setting():
    pipe = Pipeline([("scale", PCA()), ("clf", SVC())])
    forest, svm = RandomForestClassifier(), SVC()
    space = Space.of(
        [
            {"clf": [svm], "clf__C": stats.loguniform(1, 10), "scale": [None, "passthrough"]},
            {"clf": [forest], "scale__n_components": [2, 4, 8]},
        ],
        pipe,
    )
    for setting in draws(space, 40):
        points = json.loads(json.dumps(setting.points))
        again = space.draw(StoredSource(points))
        assert again == setting
        assert again.params["clf"] is setting.params["clf"]


def test_distributions_of_optuna():
    from optuna import distributions as od

    space = Space.of(
        {
            "ccp_alpha": od.FloatDistribution(1e-3, 1, log=True),
            "max_depth": od.IntDistribution(2, 8, step=2),
            "criterion": od.CategoricalDistribution(["gini", "entropy"]),
        },
        TREE,
    )
    of = [s.params for s in draws(space, 200)]
    assert {p["max_depth"] for p in of} == {2, 4, 6, 8}
    assert {p["criterion"] for p in of} == {"gini", "entropy"}
    assert all(1e-3 <= p["ccp_alpha"] <= 1 for p in of)


def failing(trial):
    raise RuntimeError("no such thing")


@pytest.mark.parametrize(
    ("space", "code", "says"),
    [
        ({}, "invalid_param", "has no parameters"),
        ([], "invalid_param", "has no parameters"),
        ([{}], "invalid_param", "has no parameters"),
        ({"max_depth": []}, "invalid_param", "The list is empty"),
        ({"max_dept": [1]}, "unknown_estimator_parameter", "Did you mean 'max_depth'?"),
        ({"clf__max_depth": [1]}, "unknown_estimator_parameter", "Did you mean 'max_depth'?"),
        ({"criterion": "gini"}, "invalid_param", "Write ['gini']"),
        ({"max_depth": 3}, "invalid_param", "Write [3]"),
        ({"max_depth": {1: 2}}, "invalid_param", "Got dict"),
        ({"ccp_alpha": stats.uniform(0, -1)}, "invalid_param", "contradict"),
        ("max_depth", "invalid_param", "Got str"),
        (lambda t: t.suggest_int("max_depth", 5, 2), "invalid_param", "low must be <= high"),
        (lambda t: t.suggest_int("max_depth", 1, 2.5), "invalid_param", "whole numbers"),
        (lambda t: t.suggest_int("max_depth", 0, 9, log=True), "invalid_param", "must be > 0"),
        (lambda t: t.suggest_int("max_depth", 1, 9, step=0), "invalid_param", "step"),
        (lambda t: t.suggest_float("ccp_alpha", 2, 1), "invalid_param", "2 > 1"),
        (lambda t: t.suggest_float("ccp_alpha", 0, np.inf), "invalid_param", "finite"),
        (lambda t: t.suggest_float("ccp_alpha", 0, 1, step=-1), "invalid_param", "step"),
        (lambda t: t.suggest_categorical("criterion", []), "invalid_param", "empty"),
        (lambda t: 3, "invalid_param", "Got int"),
        (lambda t: {"depth": 1}, "unknown_estimator_parameter", "'depth'"),
        (failing, "space_failed", "RuntimeError: no such thing"),
    ],
)
def test_spaces_that_cannot_be(space, code, says):
    with pytest.raises(ConfigurationError) as caught:
        Space.of(space, TREE)
    assert caught.value.code == code
    assert says in str(caught.value)


def test_a_name_is_asked_for_twice_with_the_same_values_only():
    def same(trial):
        first = trial.suggest_int("max_depth", 1, 1000)
        assert trial.suggest_int("max_depth", 1, 1000) == first

    def other(trial):
        trial.suggest_int("max_depth", 1, 9)
        trial.suggest_int("max_depth", 1, 8)

    draws(Space.of(same, TREE), 5)
    with pytest.raises(ConfigurationError, match="asks for 'max_depth' twice"):
        Space.of(other, TREE)


@pytest.mark.parametrize(
    ("space", "code", "says"),
    [
        ({"tre": {"max_depth": [1]}}, "unknown_estimator", "Did you mean 'tree'?"),
        ([{"max_depth": [1]}], "invalid_param", "a dict of their spaces"),
        ({"svm": {"max_depth": [1]}}, "unknown_estimator_parameter", "space['svm']"),
        ({"svm": []}, "invalid_param", "no parameters"),
    ],
)
def test_spaces_of_several_that_cannot_be(space, code, says):
    with pytest.raises(ConfigurationError) as caught:
        Space.of(space, [("svm", SVC()), ("tree", TREE)])
    assert caught.value.code == code
    assert says in str(caught.value)


def test_parameters_of_estimators_of_spark():
    from sparkml_dist import BaggingClassifier

    bagging = BaggingClassifier(estimator=TREE)
    space = Space.of({"numMembers": [2, 4], "estimator__max_depth": [1, 2]}, bagging)
    assert next(space.grid()).params == {"estimator__max_depth": 1, "numMembers": 2}
    with pytest.raises(ConfigurationError, match="Did you mean 'numMembers'"):
        Space.of({"numMember": [2]}, bagging)
