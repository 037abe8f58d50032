"""ONNX graphs against the models that they are made of."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.neighbors import NearestCentroid
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.dataset.labels import Label
from sparkml_dist.errors import ConfigurationError, TrainingError
from sparkml_dist.members.combiner import Combiner
from sparkml_dist.members.voting_model import VotingClassificationModel, VotingRegressionModel
from sparkml_dist.onnx import graph as onnx_graph
from sparkml_dist.onnx.check import agreement, probe_rows
from sparkml_dist.onnx.export import onnx_bytes
from sparkml_dist.onnx.runtime import runtime
from sparkml_dist.onnx.trees import round_down
from tests.onnx.onnx_models import LETTERS, NUMBERS, SCHEMA, TARGET, combiner, data, needs

needs("onnx", "skl2onnx", "onnxruntime")

CLASSIFIERS = {
    "tree": lambda: DecisionTreeClassifier(max_features=3),
    "forest": lambda: RandomForestClassifier(10),
    "extra trees": lambda: ExtraTreesClassifier(10),
    "boosting": lambda: HistGradientBoostingClassifier(max_iter=20),
    "linear": LogisticRegression,
    "pipeline": lambda: make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
    "mlp": lambda: MLPClassifier(max_iter=30),
    "dummy": DummyClassifier,
}
REGRESSORS = {
    "tree": DecisionTreeRegressor,
    "forest": lambda: RandomForestRegressor(5),
    "boosting": lambda: HistGradientBoostingRegressor(max_iter=10),
    "boosting poisson": lambda: HistGradientBoostingRegressor(max_iter=10, loss="poisson"),
    "linear": Ridge,
    "mlp": lambda: MLPRegressor(max_iter=30),
    "dummy": DummyRegressor,
}


@pytest.fixture(autouse=True)
def _one_thread():
    with limit_threads(1):
        yield


def compared(made, label, X):
    plain, exported = made.load(), runtime(onnx_bytes(made, label, SCHEMA, "Model"), label, 1)
    equal = int((plain(X).argmax(axis=-1) == exported(X).argmax(axis=-1)).sum())
    return agreement(plain, exported, X) | {"equal": equal}


def session_of(content):
    import onnxruntime

    return onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])


def model_of(scorer, label=LETTERS, kind=VotingClassificationModel):
    """A model as a fit leaves it, without Spark."""

    class Made(kind):
        def __init__(self):
            self.schema, self.label, self.content = SCHEMA, label, {}

        def _scorer(self):
            return scorer

    return Made()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_classifiers(name, voting, tmp_path):
    """With members on other features, without a class, and of other weight."""
    made = combiner(tmp_path, [CLASSIFIERS[name]() for _ in range(3)], voting)
    for X in (data()[0], probe_rows(made.bank, 6, 1000)):
        found = compared(made, LETTERS, X)
        assert found["different"] == 0 and found["max_difference"] < 1e-6
        assert found["equal"] >= 0.95 * found["rows"]  # equal votes are a toss in float32


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors(name, tmp_path):
    made = combiner(tmp_path, [REGRESSORS[name]() for _ in range(3)], "mean")
    for X in (data()[0], probe_rows(made.bank, 6, 1000)):
        found = compared(made, TARGET, X)
        assert found["different"] == 0 and found["max_difference"] < 1e-6


@pytest.mark.parametrize("name", ["tree", "forest", "boosting", "pipeline"])
def test_missing_values_go_the_same_way(name, tmp_path):
    made = combiner(tmp_path, [CLASSIFIERS[name]() for _ in range(3)], missing=True)
    X = data(missing=True)[0]
    assert np.isnan(X).any()
    assert compared(made, LETTERS, X)["different"] == 0
    probes = probe_rows(made.bank, 6, 1000)
    assert np.isnan(probes).any()
    assert compared(made, LETTERS, probes)["different"] == 0


@pytest.mark.parametrize("voter", [LinearSVC, RidgeClassifier])
def test_learners_without_probabilities_vote(voter, tmp_path):
    made = combiner(tmp_path, [voter() for _ in range(3)], "hard")
    assert compared(made, LETTERS, data()[0])["different"] == 0


def test_thresholds_between_neighbouring_floats(tmp_path):
    """Rounded up, a threshold would turn the rows that lie just above it."""
    low = np.float32(1.0)
    high = np.nextafter(low, np.float32(2.0))
    middle = (np.float64(low) + np.float64(high)) / 2
    assert round_down(np.array([middle, low, -middle])).tolist() == [low, low, -high]
    three_quarters = low + 0.75 * (np.float64(high) - np.float64(low))
    assert np.float32(three_quarters) == high  # rounded to the nearest, it would be wrong
    assert round_down(np.array([three_quarters]))[0] == low
    made = combiner(tmp_path, [HistGradientBoostingClassifier(max_iter=3)], plain=True)
    bank = made.bank
    learner = bank.learner(0)
    for trees in learner._predictors:
        for tree in trees:
            tree.nodes["num_threshold"][tree.nodes["feature_idx"] == 0] = three_quarters

    class Bank(type(bank)):
        def learner(self, index):
            return learner

    changed = Combiner(Bank(**vars(bank)), "soft")
    X = data()[0]
    X[:, 0] = np.where(np.arange(len(X)) % 2, low, high)
    exported = runtime(onnx_bytes(changed, LETTERS, SCHEMA, "Model"), LETTERS, 1)
    expected = learner.predict_proba(X)
    assert np.abs(exported(X) - expected).max() < 1e-6
    assert np.abs(expected[::2].mean(0) - expected[1::2].mean(0)).max() > 1e-3


@pytest.mark.parametrize(("label", "expected"), [(LETTERS, ["a", "b", "c"]), (NUMBERS, [3, 5, 8])])
def test_the_file(label, expected, tmp_path):
    import onnx

    made = combiner(tmp_path, [DecisionTreeClassifier(), LogisticRegression()], plain=True)
    model_of(made, label).export_onnx(tmp_path / "out" / "model.onnx")
    content = (tmp_path / "out" / "model.onnx").read_bytes()
    onnx.checker.check_model(content)
    session = session_of(content)
    assert [i.name for i in session.get_inputs()] == ["features"]
    assert [o.name for o in session.get_outputs()] == ["label", "probability"]
    X = data()[0]
    found, probability = session.run(None, {"features": X})
    assert np.allclose(probability, made.load()(X), atol=1e-6)
    assert found.tolist() == [expected[i] for i in probability.argmax(axis=1)]
    assert set(found.tolist()) == set(expected)


def test_the_file_of_a_regression(tmp_path):
    made = combiner(tmp_path, [DecisionTreeRegressor(), Ridge()], "mean")
    model_of(made, TARGET, VotingRegressionModel).export_onnx(tmp_path / "model.onnx")
    session = session_of((tmp_path / "model.onnx").read_bytes())
    X = data()[0]
    (found,) = session.run(["prediction"], {"features": X})
    assert np.allclose(found, made.load()(X), rtol=1e-5)


class Odd(ClassifierMixin, BaseEstimator):
    """A learner that skl2onnx has never heard of."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.n_features_in_ = X.shape[1]
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.mark.parametrize(
    ("learner", "name", "voting"),
    [
        (Odd(), "Odd", "soft"),
        (make_pipeline(StandardScaler(), Odd()), "Pipeline(…, Odd)", "soft"),
        (NearestCentroid(), "NearestCentroid", "hard"),
        (
            HistGradientBoostingClassifier(max_iter=3, categorical_features=[0]),
            "HistGradientBoostingClassifier",
            "soft",
        ),
        (DummyClassifier(strategy="uniform"), "DummyClassifier", "soft"),
    ],
    ids=["custom", "in a pipeline", "not covered", "categories", "random"],
)
def test_a_learner_that_cannot_be_converted_is_named(learner, name, voting, tmp_path):
    made = combiner(tmp_path, [LinearDiscriminantAnalysis()] * 2, voting, plain=True)
    X, y, _ = data()
    X[:, 0] = np.abs(X[:, 0]).round()

    class Bank(type(made.bank)):
        def learner(self, index):
            return learner.fit(X, y) if index else super().learner(0)

    made = Combiner(Bank(**vars(made.bank)), voting)
    with pytest.raises(ConfigurationError) as caught:
        onnx_bytes(made, LETTERS, SCHEMA, "Model")
    assert caught.value.code == "onnx_not_supported"
    assert f"Member 1 (members/member-00001.skops), a {name}," in caught.value.message


def test_a_graph_that_would_be_too_large(tmp_path, monkeypatch):
    made = combiner(tmp_path, [DecisionTreeClassifier()])
    monkeypatch.setattr(onnx_graph, "_MAX_BYTES", 2_000)
    with pytest.raises(ConfigurationError, match="the limit of an ONNX file") as caught:
        onnx_bytes(made, LETTERS, SCHEMA, "Model")
    assert caught.value.code == "onnx_too_large"


@pytest.mark.parametrize("package", ["onnx", "skl2onnx"])
def test_a_missing_package(package, tmp_path, monkeypatch):
    import sys

    made = combiner(tmp_path, [LogisticRegression()])
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigurationError, match=rf"package '{package}'.*sparkml_dist\[onnx\]"):
        onnx_bytes(made, LETTERS, SCHEMA, "Model")


def test_models_that_combine_in_another_way_say_so(tmp_path):
    made = combiner(tmp_path, [DecisionTreeClassifier()])

    class Other:
        bank, load = made.bank, made.load

    with pytest.raises(ConfigurationError) as caught:
        model_of(Other()).export_onnx(tmp_path / "model.onnx")
    assert caught.value.code == "onnx_not_supported"
    assert not (tmp_path / "model.onnx").exists()


def test_a_graph_that_predicts_something_else_is_not_written(tmp_path):
    made = combiner(tmp_path, [DecisionTreeClassifier(), DecisionTreeClassifier()])

    class Wrong(Combiner):
        def load(self):
            right = super().load()
            return lambda X: right(X)[:, ::-1]

    with pytest.raises(TrainingError) as caught:
        model_of(Wrong(made.bank, "soft")).export_onnx(tmp_path / "model.onnx")
    assert caught.value.code == "onnx_differs"
    assert not (tmp_path / "model.onnx").exists()


def test_only_missing_values_differ(tmp_path, caplog):
    """skl2onnx does not keep which way they go in the trees inside scikit-learn's bagging."""
    made = combiner(tmp_path, [BaggingClassifier(random_state=0)], plain=True)
    with caplog.at_level(logging.WARNING):
        model_of(made).export_onnx(tmp_path / "model.onnx")
    assert "treats missing values differently" in caplog.text
    assert compared(made, LETTERS, data()[0])["different"] == 0


def test_boosted_votes(tmp_path):
    from sparkml_dist.ensemble.adaboost.samme_vote import SammeVote

    made = combiner(tmp_path, [DecisionTreeClassifier(max_depth=d) for d in (1, 2, 3)], "hard")
    X, _, _ = data()
    found = compared(SammeVote(made.bank), LETTERS, X)
    assert found["max_difference"] < 1e-5


@pytest.mark.parametrize("n_classes", [0, 2, 3])
def test_stages_of_gradient_boosting(tmp_path, n_classes):
    from sparkml_dist.ensemble.gradient_boosting.losses import loss_of
    from sparkml_dist.ensemble.gradient_boosting.scorer import AdditiveScorer, Stage
    from sparkml_dist.learners.fitting import member_traits, store_member
    from sparkml_dist.learners.learner import Traits
    from sparkml_dist.members.bank import MemberBank
    from sparkml_dist.members.stored_member import StoredMember
    from sparkml_dist.persistence.filesystem import Folder

    X, _, target = data()
    outputs = n_classes if n_classes > 2 else 1
    folder, members = Folder.at(tmp_path), []
    for i, make in enumerate((lambda: DecisionTreeRegressor(max_depth=3), Ridge, Ridge)):
        several = [make().fit(X, target / 100 * (k - i)) for k in range(outputs)]
        traits = member_traits(Traits.of(several[0]), None)
        members.append(StoredMember.from_record(store_member(folder, f"m{i}", several, traits)))
    bank = MemberBank(folder, tuple(members), n_classes, tuple(SCHEMA.feature_names))
    stages = (Stage((0.7,) * outputs, 2), Stage(tuple(range(outputs)), 1))
    loss = loss_of("log_loss" if n_classes else "squared_error", n_classes=n_classes)
    scorer = AdditiveScorer(bank, stages, loss, tuple(0.1 * k for k in range(outputs)), 0.5)
    label = {0: TARGET, 2: Label("y", "integer", (0, 1)), 3: LETTERS}[n_classes]
    assert compared(scorer, label, X)["max_difference"] < 1e-5
