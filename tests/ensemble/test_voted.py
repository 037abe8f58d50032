"""`vote`: fitted models of different kinds as one."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sparkml_dist import (
    BaggingClassifier,
    BaggingRegressor,
    VotingClassifier,
    load_model,
    partition,
    vote,
)
from sparkml_dist.errors import ConfigurationError, StorageError


@pytest.fixture(scope="module")
def iris(spark, tmp_path_factory):
    frame = load_iris(as_frame=True).frame.rename(columns=lambda c: c.split(" (")[0])
    frame["target"] = np.array(["setosa", "versicolor", "virginica"])[frame["target"]]
    data = spark.createDataFrame(frame)
    folder = tmp_path_factory.mktemp("iris")
    shards = partition(data, str(folder / "shards"), label="target", shards=2, seed=0)
    bags = BaggingClassifier(estimator=DecisionTreeClassifier(max_depth=2), numMembers=3).fit(
        shards
    )
    mixed = VotingClassifier(
        estimators=[("lr", LogisticRegression(max_iter=200)), ("tree", DecisionTreeClassifier())],
        voting="hard",
    ).fit(shards)
    return data, shards, bags, mixed


def _column(model, frame, name="probability"):
    return np.array([r[0].toArray() for r in model.transform(frame).select(name).collect()])


@pytest.mark.modes("local-cluster")
def test_the_vote_is_the_weighted_mean(iris, tmp_path):
    data, _, bags, mixed = iris
    both = vote([bags, mixed], weights=[1, 3])
    wanted = (_column(bags, data) + 3 * _column(mixed, data)) / 4
    np.testing.assert_allclose(_column(both, data), wanted, atol=1e-6)
    np.testing.assert_allclose(_column(both, data, "rawPrediction"), 4 * wanted, atol=1e-5)
    both.save(str(tmp_path / "vote"))
    again = load_model(str(tmp_path / "vote"))
    np.testing.assert_array_equal(_column(again, data), _column(both, data))
    assert "2 models, 3 classes" in repr(again)
    assert [type(m).__name__ for m in again.models] == [
        "BaggingClassificationModel",
        "VotingClassificationModel",
    ]
    local = again.to_sklearn().predict(data.limit(5).toPandas())
    assert set(local) <= {"setosa", "versicolor", "virginica"}


def test_a_vote_of_votes(iris):
    data, _, bags, mixed = iris
    nested = vote([vote([bags, mixed]), bags], weights=[2, 1])
    flat = vote([bags, mixed], weights=[2, 1])
    np.testing.assert_allclose(_column(nested, data), _column(flat, data), atol=1e-6)


def test_regressors(spark, iris):
    data = iris[0].drop("target")
    models = [
        BaggingRegressor(
            estimator=DecisionTreeRegressor(max_depth=d),
            numMembers=1,
            labelCol="petal width",
            numShards=1,
        ).fit(data)
        for d in (1, 4)
    ]
    said = [
        np.array([r[0] for r in m.transform(data).select("prediction").collect()])
        for m in (*models, vote(models, weights=[1, 1]))
    ]
    np.testing.assert_allclose(said[2], (said[0] + said[1]) / 2)


def test_what_cannot_vote(spark, iris, tmp_path):
    data, _, bags, mixed = iris
    fewer = BaggingClassifier(
        estimator=DecisionTreeClassifier(), numMembers=1, labelCol="target", numShards=1
    )
    narrow = fewer.fit(data.drop("petal width"))
    two = fewer.fit(data.where("target != 'setosa'"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    for code, said, call in [
        ("no_models", "at least one", lambda: vote([])),
        ("invalid_param", "2 numbers", lambda: vote([bags, mixed], weights=[1])),
        ("invalid_param", "not all zero", lambda: vote([bags], weights=[0])),
        ("not_fitted", "BaggingClassifier", lambda: vote([bags, fewer])),
        ("models_differ", "petal width", lambda: vote([bags, narrow])),
        ("models_differ", "versicolor, virginica", lambda: vote([bags, two])),
        ("output_exists", "not empty", lambda: vote([bags], modelDir=str(tmp_path / "full"))),
    ]:
        with pytest.raises((ConfigurationError, StorageError), match=said) as caught:
            call()
        assert caught.value.code == code
