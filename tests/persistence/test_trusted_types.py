"""Whatever scikit-learn has can be stored and loaded without a list of types to trust."""

from __future__ import annotations

import inspect
import warnings
from importlib import import_module

import numpy as np
import pytest
import skops.io
from scipy import stats
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.feature_selection import SelectKBest, mutual_info_classif
from sklearn.gaussian_process import GaussianProcessRegressor, kernels
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, normalize
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators
from sklearn.utils._test_common.instance_generator import _construct_instances

from sparkml_dist.learners.named_learner import NamedLearner
from sparkml_dist.persistence.distributions import frozen
from sparkml_dist.persistence.learners import dump_learner, load_learner, untrusted_types
from sparkml_dist.persistence.trusted_types import TRUSTED_TYPES

RNG = np.random.default_rng(0)
X = RNG.uniform(0.1, 1, size=(60, 3)).astype(np.float32)
Y = (np.arange(60) % 2).astype(np.int32)
T = X[:, 0].astype(float) + 1
# skops refuses the one, whose leaves point at each other; the other predicts at random.
LEFT_OUT = {"Birch", "DummyClassifier"}


def instances():
    for name, kind in all_estimators():
        try:
            yield from ((name, one) for one in _construct_instances(kind))
        except Exception:  # noqa: BLE001 - it wants to be built in some other way
            continue


def fitted(one):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return clone(one).fit(X, T if is_regressor(one) else Y)
    except Exception:  # noqa: BLE001 - not for a small table
        return None


def test_every_estimator_of_scikit_learn_that_learns_from_a_small_table():
    stored, strange = set(), {}
    for name, one in instances():
        if name in LEFT_OUT or (model := fitted(one)) is None:
            continue
        content = skops.io.dumps(model)
        if unknown := untrusted_types(content):
            strange[name] = unknown
            continue
        again = load_learner(content, name)
        ask = "predict" if hasattr(model, "predict") else "transform"
        if is_classifier(model) or is_regressor(model):
            assert np.array_equal(getattr(again, ask)(X), getattr(model, ask)(X)), name
        stored.add(name)
    assert not strange
    assert len(stored) > 120


PARTS = {
    "scores": [get_scorer(name) for name in get_scorer_names()],
    "splitters": [
        kind(
            *(
                [[0, 1] * 30]
                if name == "PredefinedSplit"
                else [2]
                if "Leave" in name and "P" in name
                else []
            )
        )
        for name, kind in vars(import_module("sklearn.model_selection._split")).items()
        if inspect.isclass(kind)
        and hasattr(kind, "split")
        and not name.startswith(("_", "Base"))
        and not inspect.isabstract(kind)
    ],
    "kernels": [
        GaussianProcessRegressor(kernel)
        for kernel in (
            kernels.RationalQuadratic() + kernels.WhiteKernel(),
            kernels.ExpSineSquared() * kernels.DotProduct(),
            kernels.Matern() ** 2,
            kernels.PairwiseKernel(),
            kernels.CompoundKernel([kernels.RBF(), kernels.ConstantKernel()]),
        )
    ],
    "neighbours": [
        KNeighborsClassifier(metric=metric, algorithm="ball_tree").fit(X, Y)
        for metric in ("chebyshev", "canberra", "braycurtis", "hamming", "minkowski")
    ],
    "parts of pipelines": [
        make_pipeline(SelectKBest(mutual_info_classif, k=1), FunctionTransformer(np.log1p)),
        make_pipeline(FunctionTransformer(normalize), FunctionTransformer(np.nan_to_num)),
        ColumnTransformer([("e", OneHotEncoder(), make_column_selector(dtype_include=object))]),
        ColumnTransformer([("e", OneHotEncoder(), [0])], remainder="passthrough").fit(X),
    ],
    "learners of learners": [
        VotingClassifier([("t", DecisionTreeClassifier())]).fit(X, Y),
        StackingClassifier([("t", DecisionTreeClassifier())]).fit(X, Y),
        GridSearchCV(LogisticRegression(), {"C": [1, 2]}, scoring=["f1", "r2"], refit="f1").fit(
            X, Y
        ),
        NamedLearner(DecisionTreeClassifier(), True, ["x", "y", "z"]).fit(X, Y),
    ],
}


@pytest.mark.parametrize("kind", PARTS)
def test_parts_of_scikit_learn_need_no_list(kind):
    for part in PARTS[kind]:
        assert untrusted_types(skops.io.dumps(part)) == [], part


@pytest.mark.parametrize(
    "name",
    [
        "numpy.load",
        "numpy.fromfile",
        "numpy.save",
        "builtins.print",
        "joblib.load",
        "os.system",
        "sklearn.datasets._base.load_files",
        "builtins.eval",
        "sklearn.metrics.pairwise.pairwise_distances",
    ],
)
def test_what_reads_files_or_calls_back_is_on_no_list(name):
    assert name not in TRUSTED_TYPES


def test_names_on_the_list_exist():
    for name in TRUSTED_TYPES:
        module, _, attribute = name.rpartition(".")
        assert hasattr(import_module(module), attribute), name


def reads_a_file(X):
    return np.fromfile(X)


def test_the_error_prints_the_list_to_copy():
    learner = make_pipeline(FunctionTransformer(reads_a_file), FunctionTransformer(np.load))
    with pytest.raises(Exception, match="not on the allow-list") as caught:
        dump_learner(learner, trusted=["my.Own"])
    assert caught.value.code == "untrusted_type"
    own = f"{__name__}.reads_a_file"
    assert f'trustedTypes=["my.Own", "numpy.load", "{own}"]' in caught.value.hint
    assert f"--trusted-types my.Own numpy.load {own}" in caught.value.hint
    dump_learner(learner, trusted=["numpy.load", own])


def test_a_random_search_draws_from_the_same_distributions_again():
    drawn = {"C": stats.loguniform(1e-3, 1), "max_iter": stats.randint(5, 9)}
    search = RandomizedSearchCV(LogisticRegression(), drawn, n_iter=2, random_state=0)
    for learner in (search, clone(search).fit(X, Y), make_pipeline(search)):
        again = load_learner(dump_learner(learner), "search")
        found = again if hasattr(again, "param_distributions") else again[-1]
        for name, one in found.param_distributions.items():
            assert (
                one.rvs(5, random_state=0).tolist() == drawn[name].rvs(5, random_state=0).tolist()
            )


@pytest.mark.parametrize(
    ("name", "args"),
    [("rv_continuous", ()), ("__class__", ()), ("norm", (print,)), ("norm", ("1",))],
)
def test_no_other_name_is_called_for_a_distribution(name, args):
    with pytest.raises(ValueError, match="distribution|numbers"):
        frozen(name, args, {})
