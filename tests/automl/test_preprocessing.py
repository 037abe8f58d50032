"""Preprocessing of each family: what a member gets, and that models with it are stored."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

import sparkml_dist as sd
from sparkml_dist.automl.feature_kinds import feature_kinds
from sparkml_dist.automl.preprocessing import with_preprocessing
from sparkml_dist.automl.table_column import TableColumn
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.errors import SparkMLDistError

CATEGORIES = tuple("abc")
MANY = tuple(f"k{i:02d}" for i in range(50))
SCHEMA = FeatureSchema.build(
    [
        FeatureColumn("x", "numeric"),
        FeatureColumn("heavy", "numeric"),
        FeatureColumn("day_month", "numeric"),
        FeatureColumn("day_days", "numeric"),
        FeatureColumn("note_words", "array", 3),
        FeatureColumn("note_numWords", "numeric"),
        FeatureColumn("few", "categorical", categories=CATEGORIES),
        FeatureColumn("many", "categorical", categories=MANY),
    ],
    sparse=False,
)
COLUMNS = [
    TableColumn("x", "number", ("x",)),
    TableColumn("heavy", "number", ("heavy",), skewed=True),
    TableColumn("day", "date", ("day_month", "day_days"), ("month", "days")),
    TableColumn("note", "text", ("note_words", "note_numWords"), width=3),
    TableColumn("few", "category", ("few",)),
]


def matrix(n=300, seed=0):
    rng = np.random.default_rng(seed)
    X = np.column_stack(
        [
            rng.normal(size=n) * 100 + 7,
            np.exp(rng.normal(size=n) * 5),
            rng.integers(1, 13, n),
            rng.integers(0, 900, n),
            rng.integers(0, 3, (n, 3)),
            rng.integers(0, 9, n),
            rng.integers(0, 3, n),
            rng.integers(0, 50, n),
        ]
    ).astype(np.float32)
    y = (X[:, 0] > 7).astype(int) + (X[:, 9] > 24)
    X[rng.random(X.shape) < 0.05] = np.nan
    X[:, 4:7] = np.nan_to_num(X[:, 4:7])
    return X, y


def test_kinds_of_features():
    found = [kind.name for kind in feature_kinds(SCHEMA, COLUMNS)]
    expected = ["number", "skewed", "cycle", "number", *["count"] * 3, "number"]
    assert found == [*expected, "category", "category"]
    assert [k.name for k in feature_kinds(SCHEMA)][:6] == ["number"] * 6
    assert [k.categories for k in feature_kinds(SCHEMA)][-2:] == [3, 50]


@pytest.mark.parametrize("family", ["linear", "neighbors", "network"])
def test_numbers_are_filled_scaled_and_marked(family):
    X, y = matrix()
    made = with_preprocessing(LogisticRegression(), SCHEMA, family, columns=COLUMNS, num_classes=3)
    step = made[:-1].fit(X, y)[0]
    out = step.transform(X)
    parts = {name: out[:, part] for name, part in step.output_indices_.items()}
    gone = np.isnan(X)
    x = np.where(gone[:, 0], np.nanmedian(X[:, 0]), X[:, 0])
    np.testing.assert_allclose(parts["numbers"][:, 0], (x - x.mean()) / x.std(), atol=1e-4)
    # Indicators of missing values tell exactly which rows had none.
    marks = parts["numbers"][:, 3:]
    assert marks.shape == (300, 3)
    assert ((marks > 0) == gone[:, [0, 3, 7]]).all()
    skewed = parts["skewed"][:, 0]
    assert np.abs(skewed).max() < 6 and abs(skewed.mean()) < 0.2
    assert parts["counts"].min() == 0 and parts["counts"].max() == 1
    # Months, and categories with one for missing values.
    assert parts["categories"].shape[1] == 13 + 4
    assert parts["large"].shape[1] == 3  # one for each class
    assert np.isfinite(out).all()
    new = X[:1].copy()
    new[0, -2:], new[0, 2] = 60, 99
    there = step.transform(new)
    assert np.isfinite(there).all() and there[:, step.output_indices_["categories"]].sum() == 0


def test_many_classes_and_regressions():
    X, y = matrix()
    many = with_preprocessing(Ridge(), SCHEMA, "linear", num_classes=40)
    assert type({n: t for n, t, _ in many[0].transformers}["large"]).__name__ == "OneHotEncoder"
    numbers = with_preprocessing(Ridge(), SCHEMA, "linear", task="regression", num_classes=0)
    numbers.fit(X, y.astype(float))  # whole numbers are no classes
    encoder = numbers[0].named_transformers_["large"][0]
    assert encoder.target_type_ == "continuous"


def test_sparse_features_stay_sparse():
    schema = FeatureSchema.build([FeatureColumn("v", "vector", 400)], sparse=True)
    X = sp.random(100, 400, 0.02, "csr", np.float32, random_state=0)
    y = np.arange(100) % 2
    made = with_preprocessing(LogisticRegression(), schema, "linear").fit(X, y)
    assert sp.issparse(made[0].transform(X)) and made.predict_proba(X).shape == (100, 2)


def test_trees_and_boosters_get_codes():
    for learner in (DecisionTreeClassifier(), HistGradientBoostingClassifier()):
        assert with_preprocessing(learner, SCHEMA, "tree") is learner
    filled = with_preprocessing(GradientBoostingClassifier(n_estimators=2), SCHEMA, "booster")
    X, y = matrix()
    assert np.isfinite(filled.fit(X, y).predict_proba(X)).all()
    assert with_preprocessing(ExtraTreesRegressor(), SCHEMA, "tree", task="regression") is not None
    with pytest.raises(SparkMLDistError, match="linear"):
        with_preprocessing(Ridge(), SCHEMA, "liner")


@pytest.fixture(scope="module")
def data(spark, tmp_path_factory):
    X, y = matrix(400)
    frame = pd.DataFrame(X[:, [0, 1, 2, 9]], columns=["x", "heavy", "few", "many"])
    frame["few"] = [None if c != c else CATEGORIES[int(c)] for c in X[:, 8]]
    frame["many"] = [None if c != c else MANY[int(c)] for c in X[:, 9]]
    frame["label"] = y
    df = spark.createDataFrame(
        frame.astype(object).where(frame.notna(), None),
        "x double, heavy double, few string, many string, label int",
    )
    shards = sd.partition(
        df,
        str(tmp_path_factory.mktemp("data") / "shards"),
        label="label",
        categorical=["few", "many"],
        shards=2,
    )
    return df, shards


def test_members_with_preprocessing_are_fitted_stored_and_loaded(data, tmp_path):
    """Without trust in further types, and with categories that a shard lacks."""
    df, shards = data
    kinds = {
        "linear": LogisticRegression(max_iter=300),
        "neighbors": KNeighborsClassifier(),
        "network": MLPClassifier((8,), max_iter=30),
    }
    made = [
        (name, with_preprocessing(learner, shards.schema, name, num_classes=3))
        for name, learner in kinds.items()
    ]
    made.append(
        (
            "booster",
            with_preprocessing(
                HistGradientBoostingClassifier(max_iter=5), shards.schema, "booster"
            ),
        )
    )
    model = sd.VotingClassifier(estimators=made).fit(shards)
    assert model.trusted == ()
    model.save(str(tmp_path / "m"))
    again = sd.load_model(str(tmp_path / "m"))
    new = df.selectExpr("* except (few)", "if(x > 0, 'new', few) AS few").limit(50)
    one, two = (
        [row.probability.toArray().tolist() for row in m.transform(new).collect()]
        for m in (model, again)
    )
    assert one == two and np.isfinite(one).all()
