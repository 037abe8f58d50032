"""Nearest neighbours against scikit-learn, exact and by cells."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from pyspark.ml.linalg import Vectors

from sparkml_dist.errors import ConfigurationError, DataError, StorageError
from sparkml_dist.mining import NearestNeighbors, NearestNeighborsModel

N, D, K = 3000, 12, 7


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(40, D)) * 2
    X = centres[rng.integers(0, 40, N)] + rng.normal(size=(N, D)) + 50.0
    X[5] = X[9]  # a point twice
    return X


@pytest.fixture(scope="module")
def points(spark, X):
    table = pa.table({"id": pa.array(np.arange(N)), "features": pa.array(list(X))})
    return spark.createDataFrame(table).repartition(3).persist()


def neighbours(frame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = frame.orderBy("id").select("id", "neighbors").collect()
    ids = np.array([[n["key"] for n in row.neighbors] for row in rows])
    return (
        np.array([row.id for row in rows]),
        ids,
        np.array([[n["distance"] for n in row.neighbors] for row in rows]),
    )


# In the other modes: the approximate method, below, and the local outlier factor.
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_the_exact_method_is_scikit_learns(points, X, metric):
    from sklearn.neighbors import NearestNeighbors as Sklearn

    # So little memory that there are several blocks, read anew for each gathering of queries.
    found = NearestNeighbors(numNeighbors=K, distanceMeasure=metric, memoryPerTask="400k").fit(
        points
    )
    asked, ids, distances = neighbours(found.transform(points.where("id < 500")))
    oracle = Sklearn(n_neighbors=K, metric=metric, algorithm="brute").fit(X)
    expected, expected_ids = oracle.kneighbors(X[asked])
    # scikit-learn takes |x|² - 2xy + |y|² for the square: a row is not at 0 from itself.
    assert distances == pytest.approx(expected, abs=1e-5)
    assert (ids == expected_ids).mean() > 0.99  # all but ties
    assert distances[:, 0].max() < 1e-6
    assert found.recall == 1.0
    assert found.numCells is None


@pytest.fixture(scope="module")
def approximate(points, tmp_path_factory):
    folder = tmp_path_factory.mktemp("neighbors") / "model"
    return NearestNeighbors(
        numNeighbors=K, method="approximate", recall=0.9, numCells=60, modelDir=str(folder)
    ).fit(points)


@pytest.mark.modes
def test_the_approximate_method_reaches_the_recall_that_it_estimates(approximate, points, X):
    from sklearn.neighbors import NearestNeighbors as Sklearn

    asked, ids, distances = neighbours(approximate.transform(points))
    _, expected_ids = Sklearn(n_neighbors=K).fit(X).kneighbors(X[asked])
    others = [
        len({*a} & {*b} - {i}) / (K - 1) for i, a, b in zip(asked, ids, expected_ids, strict=True)
    ]
    assert np.mean(others) >= 0.88
    assert abs(np.mean(others) - approximate.recall) < 0.06
    assert 1 <= approximate.probes < approximate.numCells <= 60
    exact = np.linalg.norm(X[asked][:, None] - X[ids], axis=2)
    assert distances == pytest.approx(exact, abs=1e-9)
    assert (np.diff(distances, axis=1) >= 0).all()


def test_visiting_every_cell_is_exact(approximate, points, X):
    from sklearn.neighbors import NearestNeighbors as Sklearn

    everywhere = approximate.copy()
    everywhere.content = {**approximate.content, "probes": approximate.numCells}
    asked, _, distances = neighbours(everywhere.transform(points.where("id < 300")))
    expected, _ = Sklearn(n_neighbors=K).fit(X).kneighbors(X[asked])
    assert distances == pytest.approx(expected, abs=1e-9)


@pytest.mark.modes("connect")
def test_a_saved_model_is_the_same(approximate, points, tmp_path):
    path = str(tmp_path / "saved")
    approximate.save(path)
    loaded = NearestNeighborsModel.load(path)
    assert (loaded.probes, loaded.recall) == (approximate.probes, approximate.recall)
    queries = points.where("id < 50")
    first, second = (neighbours(m.transform(queries)) for m in (approximate, loaded))
    assert (first[2] == second[2]).all()
    with pytest.raises(StorageError, match="is not empty"):
        NearestNeighbors(modelDir=path).fit(points)


def test_spellings_of_points_and_ids(spark):
    rows = [("a", 0.0, 1), ("b", 3.0, 4), ("c", 10.0, 10)]
    columns = spark.createDataFrame(rows, "name string, x double, y int")
    model = NearestNeighbors(numNeighbors=2, keyCol="name", featuresCols=["x", "y"]).fit(columns)
    out = model.transform(columns)
    assert out.columns == ["name", "x", "y", "neighbors"]
    assert {r.name: [n["key"] for n in r.neighbors] for r in out.collect()} == {
        "a": ["a", "b"],
        "b": ["b", "a"],
        "c": ["c", "b"],
    }
    assert next(r.neighbors[1].distance for r in out.collect() if r.name == "a") == 18**0.5
    vectors = [(r[0], Vectors.dense(r[1], r[2]), Vectors.sparse(2, {1: 1.0})) for r in rows]
    frame = spark.createDataFrame(vectors, ["id", "features", "other"])
    by_vector = NearestNeighbors(numNeighbors=1).fit(frame)
    by_glob = NearestNeighbors(numNeighbors=1, keyCol="name", featuresCols=["[xy]*"]).fit(columns)
    assert by_glob.getFeaturesCols() == ["x", "y"]  # whatever columns later rows have
    again = by_glob.transform(columns.withColumn("yy", columns["y"] * 0))
    assert all(r.neighbors[0]["key"] == r.name for r in again.collect())
    found = by_vector.transform(frame.drop("features").withColumnRenamed("other", "features"))
    assert {r.neighbors[0]["key"] for r in found.collect()} == {"a"}


class TestBadInput:
    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"numNeighbors": 0}, "numNeighbors must be at least 1"),
            ({"method": "approx"}, "Did you mean 'approximate'"),
            ({"distanceMeasure": "cosin"}, "Did you mean 'cosine'"),
            ({"recall": 1.0}, r"recall must be in \(0, 1\)"),
        ],
    )
    def test_params(self, points, params, message):
        with pytest.raises(ConfigurationError, match=message):
            NearestNeighbors(**params).fit(points)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ([[1.0, float("nan")], [1.0, 2.0]], "1 of 2 rows have null, NaN or infinite"),
            ([[1.0, None], [1.0, 2.0]], "1 of 2 rows have null"),
            ([None, [1.0, 2.0]], "1 of 2 rows have null"),
            ([[1.0], [1.0, 2.0]], "from 1 to 2 values"),
            ([[1.0, 2.0]], "fewer than numNeighbors=2"),
            ([], "no rows"),
        ],
    )
    def test_points(self, spark, values, message):
        rows = list(enumerate(values))
        frame = spark.createDataFrame(rows, "id int, features array<double>")
        with pytest.raises(DataError, match=message):
            NearestNeighbors(numNeighbors=2).fit(frame)

    def test_zero_vectors_have_no_cosine(self, spark):
        frame = spark.createDataFrame([(0, [0.0]), (1, [1.0])], "id int, features array<double>")
        with pytest.raises(DataError, match="zero in all coordinates"):
            NearestNeighbors(numNeighbors=1, distanceMeasure="cosine").fit(frame)

    def test_columns(self, points, approximate):
        with pytest.raises(DataError, match="Did you mean 'features'"):
            NearestNeighbors(featuresCol="feature").fit(points)
        with pytest.raises(DataError, match="must hold whole numbers or strings"):
            NearestNeighbors(keyCol="features").fit(points)
        with pytest.raises(DataError, match="fewer than numNeighbors=4000"):
            approximate.copy().setParams(numNeighbors=4000).transform(points)
        with pytest.raises(Exception, match="must have 12 coordinates"):
            approximate.transform(points.selectExpr("id", "array(1d) AS features")).collect()
