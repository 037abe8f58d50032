"""XGBoost, LightGBM and CatBoost as members, against the libraries on the same rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sparkml_dist import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    EnsembleSelectionClassifier,
    GradientBoostingRegressor,
    IVotesClassifier,
    StackingClassifier,
    VotingClassifier,
    load_model,
    partition,
)
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.learners.booster_learner import BoosterLearner
from sparkml_dist.learners.learner import prepare
from sparkml_dist.members.sampling import member_seed
from tests.long import cases

xgboost = pytest.importorskip("xgboost")
lightgbm = pytest.importorskip("lightgbm")
catboost = pytest.importorskip("catboost")

_FEW = {"n_estimators": 4}
CLASSIFIERS = {
    "xgboost": xgboost.XGBClassifier(**_FEW),
    "lightgbm": lightgbm.LGBMClassifier(**_FEW, min_child_samples=5, min_data_per_group=5),
    "catboost": catboost.CatBoostClassifier(iterations=4),
}


def frame(n=400):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, n)).round(3)
    a[::9] = np.nan
    site = rng.choice(["north", "east", "south"], n).astype(object)
    site[::13] = None
    score = np.nan_to_num(a) + (site == "north") + 0.3 * rng.normal(size=n)
    label = np.select([score < 0, score < 1], ["low", "mid"], "top")
    weight = rng.uniform(1, 3, n).round(2)
    return pd.DataFrame(
        {
            "a": a,
            "b": b,
            "site": site,
            "label": label,
            "weight": weight,
            "target": score,
            "id": range(n),
        }
    )


@pytest.fixture(scope="module")
def table(spark):
    return spark.createDataFrame(frame())


def cut(table, folder, shards, **given):
    given = {"label": "label", "weight": "weight", "categorical": ["site"], **given}
    return partition(table, folder, features=["a", "b", "site"], key="id", shards=shards, **given)


@pytest.fixture(scope="module")
def one(table, tmp_path_factory):
    return cut(table, tmp_path_factory.mktemp("one") / "d", 1)


@pytest.fixture(scope="module")
def two(table, tmp_path_factory):
    """Two shards by whose rows the second lacks a class."""
    return cut(table, tmp_path_factory.mktemp("two") / "d", 2)


@pytest.fixture(scope="module")
def numbers(table, tmp_path_factory):
    return cut(table, tmp_path_factory.mktemp("n") / "d", 2, label="target", task="regression")


def row_names(X):
    """Return what tells rows apart: the two numbers, which are different in each."""
    return [(str(a), str(b)) for a, b in X[:, :2]]


def probabilities(model, table):
    rows = model.transform(table).orderBy("id").select("probability").collect()
    return np.array([r[0].toArray() for r in rows])


@pytest.mark.parametrize("name", sorted(CLASSIFIERS))
def test_one_shard_is_the_plain_library(one, table, tmp_path, name):
    model = BaggingClassifier(
        estimator=CLASSIFIERS[name], numMembers=1, seed=3, modelDir=str(tmp_path / "m")
    ).fit(one)
    block = one.read_block(0)
    counts = one.schema.category_counts()
    plain = prepare(CLASSIFIERS[name], member_seed(3, 0), 1, categories=counts)
    plain = BoosterLearner(plain, [i for i, n in enumerate(counts) if n])
    plain.fit(block.X, block.y, sample_weight=block.weight)
    found = probabilities(load_model(str(tmp_path / "m")), table)
    by_row = dict(zip(row_names(block.X), plain.predict_proba(block.X), strict=True))
    pandas = frame()
    own = row_names(pandas[["a", "b"]].to_numpy(np.float32))
    assert np.allclose(found, [by_row[row] for row in own], atol=1e-7)
    local = model.to_sklearn()
    assert np.allclose(local.predict_proba(pandas), found, atol=1e-6)
    assert sum(model.featureImportances.values()) == pytest.approx(1)


@pytest.fixture(scope="module")
def lacking(spark, two, tmp_path_factory):
    """The rows of two shards, of which the second lacks the middle class."""
    rows = frame()
    shard = two.read_block(1)
    gone = set(row_names(shard.X[shard.y == 1]))
    kept = [row not in gone for row in row_names(rows[["a", "b"]].to_numpy(np.float32))]
    table = spark.createDataFrame(rows[kept])
    # A row's shard follows from its content, so that no other row moves.
    data = cut(table, tmp_path_factory.mktemp("lacking") / "d", 2)
    assert [np.unique(data.read_block(i).y).tolist() for i in (0, 1)] == [[0, 1, 2], [0, 2]]
    return data, table


@pytest.mark.parametrize("name", cases(sorted(CLASSIFIERS), ["lightgbm"]))
def test_a_class_that_a_shard_lacks_is_padded(lacking, name):
    data, table = lacking
    model = BaggingClassifier(estimator=CLASSIFIERS[name], numMembers=2, seed=1).fit(data)
    found = probabilities(model, table)
    assert found.shape[1] == 3 and np.allclose(found.sum(axis=1), 1, atol=1e-5)
    assert 0 < found[:, 1].max() <= 0.5 + 1e-6  # one of two members knows it
    rows = model.transform(table).select("label", "predictedLabel").toPandas()
    assert (rows.label == rows.predictedLabel).mean() > 0.6


@pytest.mark.long
def test_kinds_of_boosters_in_every_method(two, table):
    kinds = list(CLASSIFIERS.items())
    stopping = xgboost.XGBClassifier(n_estimators=30, early_stopping_rounds=2)
    estimators = [
        BaggingClassifier(estimator=stopping, numMembers=2, method="patches", maxFeatures=2),
        IVotesClassifier(estimator=CLASSIFIERS["lightgbm"], numMembers=2, biteSize=60),
        VotingClassifier(estimators=kinds),
        StackingClassifier(estimators=kinds[:2], finalEstimator=LogisticRegression(), numFolds=2),
        EnsembleSelectionClassifier(estimators=kinds[1:], numMembers=2),
        AdaBoostClassifier(estimator=CLASSIFIERS["catboost"], numMembers=2),
    ]
    for estimator in estimators:
        model = estimator.fit(two)
        rows = model.transform(table).select("label", "predictedLabel").toPandas()
        assert (rows.label == rows.predictedLabel).mean() > 0.6, type(estimator).__name__


@pytest.mark.parametrize("name", cases(sorted(CLASSIFIERS), ["lightgbm"]))
def test_regressors(numbers, table, name):
    kind = {
        "xgboost": xgboost.XGBRegressor(**_FEW),
        "lightgbm": lightgbm.LGBMRegressor(**_FEW),
        "catboost": catboost.CatBoostRegressor(iterations=4),
    }[name]
    rows = frame()
    for estimator in (
        BaggingRegressor(estimator=kind, numMembers=2),
        GradientBoostingRegressor(estimator=kind, numMembers=2),
    ):
        model = estimator.fit(numbers)
        found = model.transform(table).orderBy("id").toPandas().prediction.to_numpy()
        assert np.corrcoef(found, rows.target)[0, 1] > 0.5


def test_pipelines_and_frames(two, table):
    encoded = ColumnTransformer(
        [
            ("site", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["site"]),
            ("numbers", StandardScaler(), make_column_selector(dtype_include=float)),
        ]
    ).set_output(transform="pandas")
    stopping = lightgbm.LGBMClassifier(n_estimators=20, early_stopping_round=2, min_child_samples=5)
    model = BaggingClassifier(estimator=make_pipeline(encoded, stopping), numMembers=2).fit(two)
    rows = model.transform(table).select("label", "predictedLabel").toPandas()
    assert (rows.label == rows.predictedLabel).mean() > 0.6
    # Columns by name.
    rising = xgboost.XGBClassifier(**_FEW, monotone_constraints={"a": 1})
    model = BaggingClassifier(estimator=rising, numMembers=1).fit(two)
    assert model.transform(table).count() == 400
    chosen = catboost.CatBoostClassifier(iterations=3, cat_features=["site"])
    assert BaggingClassifier(estimator=chosen, numMembers=1).fit(two).numMembers == 1
    with pytest.raises(ConfigurationError, match="sight"):
        wrong = catboost.CatBoostClassifier(iterations=3, cat_features=["sight"])
        BaggingClassifier(estimator=wrong, numMembers=1).fit(two)


def test_a_class_of_the_script_is_told_what_to_do(two):
    mine = type("Mine", (xgboost.XGBClassifier,), {"__module__": "__main__"})
    with pytest.raises(ConfigurationError) as caught:
        BaggingClassifier(estimator=mine(), numMembers=1).fit(two)
    assert caught.value.code == "not_in_a_module"
    assert "py-files" in caught.value.hint


@pytest.mark.modes
def test_workers_without_the_package_are_told_before_the_first_job(two, monkeypatch):
    from sparkml_dist.cluster import workers
    from sparkml_dist.errors import ResourceError
    from sparkml_dist.learners import dry_fit

    monkeypatch.setattr(dry_fit, "modules_of", lambda _: {"lightgbm_that_is_not_there"})
    dry_fit._results.clear()
    workers._reports.clear()
    with pytest.raises(ResourceError, match="lightgbm_that_is_not_there") as caught:
        BaggingClassifier(estimator=CLASSIFIERS["lightgbm"], numMembers=1).fit(two)
    assert caught.value.code == "worker_packages"
