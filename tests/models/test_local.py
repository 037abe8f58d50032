"""Fitted models handed over to scikit-learn: the same numbers without Spark."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import get_scorer
from sklearn.naive_bayes import MultinomialNB
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.validation import check_is_fitted

from sparkml_dist import BaggingClassifier, BaggingRegressor
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.models.local_features import feature_blocks


def spark_probabilities(model, df):
    rows = model.transform(df).select(model.getProbabilityCol()).collect()
    return np.array([r[0].toArray() for r in rows], dtype=np.float32)


def mixed_frame():
    """Numbers with gaps, words, numbered categories and an array; string labels."""
    rng = np.random.default_rng(0)
    n = 400
    x = rng.normal(size=n)
    word = rng.choice(["red", "green", "blue"], n)
    return pd.DataFrame(
        {
            "x": np.where(rng.random(n) < 0.1, np.nan, x),
            "word": word,
            "number": rng.integers(0, 5, n),
            "flag": rng.random(n) < 0.5,
            "array": list(rng.normal(size=(n, 3))),
            "label": np.where((x > 0) ^ (word == "red"), "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def mixed(spark):
    frame = mixed_frame()
    df = spark.createDataFrame(frame).replace(float("nan"), None, ["x"])
    model = BaggingClassifier(
        estimator=HistGradientBoostingClassifier(max_iter=5),
        numMembers=2,
        numShards=2,
        categoricalCols=["word", "number", "flag"],
    ).fit(df)
    return frame, df, model, model.to_sklearn()


def test_the_same_probabilities_from_a_frame_with_any_columns(mixed, spark):
    frame, df, model, local = mixed
    proba = local.predict_proba(frame)
    assert np.allclose(proba, spark_probabilities(model, df), rtol=0, atol=1e-7)
    assert local.classes_.tolist() == ["no", "yes"]
    shown = [r[0] for r in model.transform(df).select("predictedLabel").collect()]
    assert local.predict(frame).tolist() == shown
    assert local.score(frame, frame.label) > 0.85
    assert local.columns_in_ == ["x", "word", "number", "flag", "array"]
    assert local.feature_names_in_.tolist()[-1] == "array[2]"
    assert local.n_features_in_ == 7


def test_categories_with_gaps_and_strangers_are_missing_values(mixed):
    frame, _, _, local = mixed
    few = frame.head(4).assign(word=["red", None, "pink", "blue"], number=[1.0, 2.0, np.nan, 9.0])
    (block,) = feature_blocks(few, local._schema)
    words, numbers = block[:, 1], block[:, 2]
    assert words[[0, 3]].tolist() == [2, 0]
    assert np.isnan(words[[1, 2]]).all()
    assert numbers[:2].tolist() == [1, 2]
    assert np.isnan(numbers[2:]).all()


def test_encoded_features_and_their_faults(mixed):
    frame, _, _, local = mixed
    (X,) = feature_blocks(frame, local._schema)
    assert np.array_equal(local.predict_proba(X), local.predict_proba(frame))
    filled = np.nan_to_num(X)
    assert np.array_equal(local.predict_proba(sp.csr_matrix(filled)), local.predict_proba(filled))
    assert local.predict_proba(frame.head(0)).shape == (0, 2)
    assert local.predict(X[:0]).shape == (0,)
    for bad, code in [
        (X[:, :3], "vector_length"),
        (X[0], "vector_length"),
        (frame.rename(columns={"word": "wort"}), "column_not_found"),
        (frame.assign(x="much"), "non_numeric_feature"),
        (frame.assign(array=[[1.0, 2.0]] * len(frame)), "vector_length"),
        (frame.assign(array=None), "null_vector"),
    ]:
        with pytest.raises(DataError) as error:
            local.predict(bad)
        assert error.value.code == code


def test_scikit_learn_takes_it_for_a_fitted_classifier(mixed):
    frame, _, _, local = mixed
    check_is_fitted(local)
    assert is_classifier(local)
    assert clone(local) is local
    assert get_scorer("roc_auc")(local, frame, frame.label) > 0.9
    assert get_scorer("neg_log_loss")(local, frame, frame.label) > -0.6
    assert "2 classes" in repr(local)
    assert "<" in local._repr_html_()
    with pytest.raises(ConfigurationError, match="already_fitted"):
        local.fit(frame, frame.label)


def test_pickles_hold_the_place_of_the_files_only(mixed):
    frame, _, _, local = mixed
    content = pickle.dumps(local)
    assert len(content) < 20_000
    assert np.array_equal(pickle.loads(content).predict_proba(frame), local.predict_proba(frame))


@pytest.mark.modes
def test_numeric_labels_and_one_array_of_features(spark):
    iris = load_iris()
    frame = pd.DataFrame({"features": list(iris.data), "label": iris.target + 1})
    df = spark.createDataFrame(frame)
    model = BaggingClassifier(
        estimator=DecisionTreeClassifier(max_depth=3), numMembers=3, numShards=2
    ).fit(df)
    local = model.to_sklearn()
    for X in (frame, iris.data):
        found = local.predict_proba(X)
        assert np.allclose(found, spark_probabilities(model, df), rtol=0, atol=1e-7)
    shown = [r[0] for r in model.transform(df).select("prediction").collect()]
    assert local.predict(frame).tolist() == shown
    assert set(local.predict(frame)) == {1, 2, 3}


def test_sparse_vectors_and_rows(spark):
    from pyspark.ml.linalg import Vectors

    rng = np.random.default_rng(1)
    X = rng.poisson(0.1, (300, 40)).astype(float)
    y = (X[:, :20].sum(axis=1) > X[:, 20:].sum(axis=1)).astype(int)
    vectors = [Vectors.sparse(40, [(int(j), row[j]) for j in np.flatnonzero(row)]) for row in X]
    df = spark.createDataFrame([(v, int(t)) for v, t in zip(vectors, y)], ["features", "label"])
    model = BaggingClassifier(estimator=MultinomialNB(), numMembers=2, numShards=2).fit(df)
    assert model.schema.layout == "sparse"
    local, expected = model.to_sklearn(), spark_probabilities(model, df)
    dense = [Vectors.dense(row) for row in X]
    rows = [{"size": 40, "indices": v.indices, "values": v.values} for v in vectors]
    for cells in (vectors, dense, rows, list(X)):
        found = local.predict_proba(pd.DataFrame({"features": pd.Series(cells)}))
        assert np.allclose(found, expected, rtol=0, atol=1e-7)
    for matrix in (X, sp.csr_matrix(X), sp.csc_matrix(X)):
        assert np.allclose(local.predict_proba(matrix), expected, rtol=0, atol=1e-7)


def test_regressors(spark):
    frame = load_diabetes(as_frame=True).frame.rename(columns={"target": "label"})
    df = spark.createDataFrame(frame)
    model = BaggingRegressor(
        estimator=DecisionTreeRegressor(max_depth=3), numMembers=3, numShards=2
    ).fit(df)
    local = model.to_sklearn()
    assert is_regressor(local)
    shown = [r[0] for r in model.transform(df).select("prediction").collect()]
    assert np.allclose(local.predict(frame), shown, rtol=1e-12)
    assert local.score(frame, frame.label) > 0.3
    assert not hasattr(local, "predict_proba")
