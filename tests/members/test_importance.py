"""Feature importances against scikit-learn's."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.datasets import make_regression
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist import (
    BaggingClassificationModel,
    BaggingClassifier,
    BaggingRegressor,
    VotingClassifier,
    partition,
)
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.members.importance import learner_importances
from sparkml_dist.metrics.permutation import _Shuffle as Shuffle

NAMES = [f"x{i}" for i in range(6)]


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(3000, 6))
    y = (X[:, 0] + 0.9 * X[:, 1] - 0.8 * X[:, 2] + 0.3 * rng.normal(size=3000) > 0).astype(int)
    return pd.DataFrame(X.astype(np.float32), columns=NAMES).assign(label=y)


@pytest.fixture(scope="module")
def data(spark, frame, tmp_path_factory):
    df = spark.createDataFrame(frame.iloc[:1500])
    return partition(df, tmp_path_factory.mktemp("a") / "d", label="label", shards=2)


@pytest.fixture(scope="module")
def held(spark, frame):
    return spark.createDataFrame(frame.iloc[1500:])


@pytest.fixture(scope="module")
def bagging(data):
    return BaggingClassifier(
        estimator=DecisionTreeClassifier(max_depth=5), numMembers=5, method="subspaces"
    ).fit(data)


def test_the_mean_of_members_is_put_where_their_features_are(bagging, data, tmp_path):
    found = bagging.featureImportances
    expected = np.zeros(6)
    bank = bagging._bank()
    for member, learner in zip(bank.members, bank.load().learners):
        assert len(member.features) == 3
        expected[list(member.features)] += learner.feature_importances_ / 5
    assert list(found) == NAMES
    assert np.allclose(list(found.values()), expected)
    assert sum(found.values()) == pytest.approx(1)
    bagging.save(str(tmp_path / "m"))
    assert BaggingClassificationModel.load(str(tmp_path / "m")).featureImportances == found


def test_weights_count_and_members_without_any_do_not(data):
    forest = RandomForestClassifier(5, max_depth=3)
    voting = VotingClassifier(
        estimators=[("a", forest), ("b", DecisionTreeClassifier(max_depth=2)), ("c", GaussianNB())],
        weights=[3.0, 1.0, 5.0],
    ).fit(data)
    weights = np.array(voting.weights)
    expected, total = np.zeros(6), 0.0
    for learner, weight in zip(voting._bank().load().learners, weights):
        if hasattr(learner, "feature_importances_"):
            expected += weight * learner.feature_importances_
            total += weight
    assert np.allclose(list(voting.featureImportances.values()), expected / total)


def test_without_any_the_way_out_is_named(data):
    model = BaggingClassifier(estimator=GaussianNB(), numMembers=2).fit(data)
    with pytest.raises(ConfigurationError, match=r"GaussianNB.*permutationImportance") as error:
        _ = model.featureImportances
    assert error.value.code == "no_importances"


def test_pipelines_that_keep_their_columns(frame):
    X, y = frame[NAMES].to_numpy(), frame.label
    tree = DecisionTreeClassifier(max_depth=3, random_state=0)
    plain = tree.fit(X, y).feature_importances_
    scaled = make_pipeline(SimpleImputer(), StandardScaler(), tree).fit(X, y)
    assert np.allclose(learner_importances(scaled, 6), plain)
    selected = make_pipeline(SelectKBest(k=2), tree).fit(X, y)
    found = learner_importances(selected, 6)
    kept = selected[0].get_support()
    assert np.array_equal(found[kept], selected[-1].feature_importances_)
    assert not found[~kept].any()
    rotated = make_pipeline(PCA(3), tree).fit(X, y)
    assert learner_importances(rotated, 6) is None


@pytest.mark.parametrize(
    ("metric", "scoring"),
    [("accuracy", "accuracy"), ("log_loss", "neg_log_loss"), ("auc", "roc_auc")],
)
def test_permutation_importance_is_scikit_learns(bagging, frame, held, metric, scoring):
    found = bagging.permutationImportance(held, metric=metric, repeats=10, seed=1)
    test = frame.iloc[1500:]
    local = bagging.to_sklearn()
    # An estimator for its scorers; the scores before any shuffling are the same.
    plain = permutation_importance(
        local, test[NAMES], test.label, scoring=scoring, n_repeats=10, random_state=0
    )
    from sklearn.metrics import get_scorer

    baseline = get_scorer(scoring)(local, test[NAMES], test.label)
    assert abs(found.baseline) == pytest.approx(abs(baseline), abs=1e-6)
    assert found.rows == 1500
    spread = np.sqrt((found.std**2 + plain.importances_std**2) / 10)
    assert np.all(np.abs(found.mean - plain.importances_mean) <= 5 * spread + 1e-9)
    assert plain.importances_mean[:3].min() > 0.01
    assert np.abs(found.mean[3:]).max() < 0.01 + 5 * spread.max()
    assert json.dumps(found.to_dict())
    assert found.to_dict()["features"][0]["name"] in NAMES[:3]


def test_the_partitioning_does_not_matter_and_rows_are_capped(bagging, held):
    settings = {"repeats": 2, "maxRows": 500, "features": ["x0", "x5"]}
    # One row to a partition and batch would leave nothing to shuffle within it.
    one = bagging.permutationImportance(held.coalesce(1), **settings)
    many = bagging.permutationImportance(held.repartition(40), **settings)
    assert np.allclose(one.drops, many.drops, rtol=0, atol=1e-12)
    assert one.features == ("x0", "x5")
    assert 350 < one.rows < 650
    assert one.mean[0] > 0.03
    other = bagging.permutationImportance(held, **settings, seed=9)
    assert not np.array_equal(one.drops, other.drops)


def test_regressions_have_their_own_metrics(spark):
    X, y = make_regression(400, 3, n_informative=1, noise=1.0, shuffle=False, random_state=0)
    frame = pd.DataFrame(X.astype(np.float32), columns=list("abc")).assign(label=y)
    df = spark.createDataFrame(frame)
    model = BaggingRegressor(estimator=LinearRegression(), numMembers=2, numShards=2).fit(df)
    found = model.permutationImportance(df)
    assert found.metric == "rmse"
    # Of a linear model: the squared error grows by twice the variance of its term.
    local = model.to_sklearn()
    slope = local.predict(np.eye(3))[0] - local.predict(np.zeros((1, 3)))[0]
    grown = np.sqrt(2 * slope**2 * frame.a.var() + found.baseline**2) - found.baseline
    assert found.mean[0] == pytest.approx(grown, rel=0.1)
    assert found.mean[1:].max() < 0.02 * found.mean[0]
    r2 = model.permutationImportance(df, metric="r2", features=["a"], repeats=2)
    assert r2.mean[0] > 1


def test_several_blocks_and_rows_that_are_sparse(spark, monkeypatch):
    from pyspark.ml.linalg import Vectors

    from sparkml_dist.metrics import permutation

    rng = np.random.default_rng(1)
    X = (rng.random((900, 12)) < 0.15).astype(float)
    X[:, 11] = 0
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    vectors = [Vectors.sparse(12, [(int(j), 1.0) for j in np.flatnonzero(row)]) for row in X]
    df = spark.createDataFrame([(v, int(t)) for v, t in zip(vectors, y)], ["features", "label"])
    model = BaggingClassifier(estimator=BernoulliNB(), numMembers=1, numShards=1).fit(df)
    assert model.schema.layout == "sparse"
    monkeypatch.setattr(permutation, "_BLOCK_ROWS", 200)
    found = model.permutationImportance(df, metric="log_loss", repeats=4)
    plain = permutation_importance(
        model.to_sklearn(), X, y, scoring="neg_log_loss", n_repeats=10, random_state=0
    )
    assert found.rows == 900
    assert np.allclose(found.mean, plain.importances_mean, rtol=0.2, atol=0.01)
    assert found.drops[11].tolist() == [0, 0, 0, 0]


def test_shuffling_moves_one_column_and_puts_it_back():
    rng = np.random.default_rng(0)
    X = rng.poisson(0.7, (50, 4)).astype(np.float32)
    order = rng.permutation(50)
    expected = X.copy()
    expected[:, 2] = X[order, 2]
    for matrix in (X.copy(), sp.csr_matrix(X)):
        shuffle = Shuffle(matrix, lambda M: M.toarray() if sp.issparse(M) else M.copy())
        assert np.array_equal(shuffle.predict(2, order), expected)
        assert np.array_equal(matrix.toarray() if sp.issparse(matrix) else matrix, X)


def test_bad_settings_and_data(bagging, held):
    def code(error_kind, df=held, **settings):
        with pytest.raises(error_kind) as error:
            bagging.permutationImportance(df, **settings)
        return error.value.code

    assert code(ConfigurationError, metric="rmse") == "invalid_param"
    assert code(ConfigurationError, repeats=0) == "invalid_param"
    assert code(ConfigurationError, maxRows=1) == "invalid_param"
    assert code(ConfigurationError, features=["x9"]) == "unknown_feature"
    assert code(DataError, df=held.drop("x0")) == "column_not_found"
    assert code(DataError, df=held.drop("label")) == "column_not_found"
    assert code(DataError, df=held.limit(1)) == "too_few_rows"
    same = held.where("label = 1").limit(50)
    assert code(DataError, df=same, metric="auc") == "score_undefined"
