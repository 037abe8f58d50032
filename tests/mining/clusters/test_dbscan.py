"""DBSCAN on Spark: scikit-learn's clusters whatever the number of boxes; bad input; at rest."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.ml.linalg import Vectors
from sklearn.cluster import DBSCAN as Reference

from sparkml_dist.errors import ConfigurationError, DataError, StorageError
from sparkml_dist.mining import DBSCAN, DBSCANModel
from tests.long import cases

sys.path.insert(0, str(Path(__file__).parent))
from shapes import canonical, shapes

SHAPES = shapes(500)


def frame(spark, points, partitions=3):
    table = pd.DataFrame(points, columns=[f"x{i}" for i in range(points.shape[1])])
    return spark.createDataFrame(table.assign(id=range(len(points)))).repartition(partitions)


def labels(model, df):
    rows = model.transform(df).select("id", "prediction").orderBy("id").collect()
    return np.array([row["prediction"] for row in rows])


def test_the_same_clusters_at_any_cut(spark, tmp_path):
    points, (_, eps, _) = SHAPES["moons"]
    df = frame(spark, points).persist()
    wanted = Reference(eps=eps).fit(points)
    core = wanted.core_sample_indices_
    found = []
    for boxes in (1, 5):
        model = DBSCAN(
            eps=eps, featuresCols=["x*"], numPartitions=boxes, modelDir=str(tmp_path / f"{boxes}")
        ).fit(df)
        assert model.summary["boxes"] == boxes
        assert model.summary["core_points"] == len(core)
        found.append(labels(model, df))
    assert found[0].tolist() == found[1].tolist()
    assert canonical(found[1][core]) == canonical(wanted.labels_[core])
    assert ((found[1] == -1) == (wanted.labels_ == -1)).all()
    model.save(str(tmp_path / "model"))
    for saved in ("5", "model"):  # modelDir is a saved model too
        assert labels(DBSCANModel.load(str(tmp_path / saved)), df).tolist() == found[1].tolist()
    assert (tmp_path / "5" / "manifest.json").is_file()


@pytest.mark.long
@pytest.mark.parametrize("name", cases(SHAPES, ["five"]))
def test_all_shapes(spark, name):
    points, radii = SHAPES[name]
    df = frame(spark, points).cache()
    for eps in radii:
        model = DBSCAN(eps=eps, featuresCols=["x*"], numPartitions=4).fit(df)
        wanted = Reference(eps=eps).fit(points)
        found, core = labels(model, df), wanted.core_sample_indices_
        assert canonical(found[core]) == canonical(wanted.labels_[core])
        assert ((found == -1) == (wanted.labels_ == -1)).all()
        assert model.clusterSizes == sorted(model.clusterSizes, reverse=True)
    df.unpersist()


@pytest.mark.long
def test_a_border_point_goes_to_the_nearest_core_point(spark):
    left, right = np.linspace(0.0, 0.2, 5), np.linspace(1.85, 2.05, 5)
    # Within eps of one of the left (at 0.85) and of two of the right (at 0.8 and 0.85).
    points = np.concatenate([left, [1.05], right, [9.0]])[:, None]
    df = frame(spark, points)
    model = DBSCAN(eps=0.87, minPoints=5, featuresCols=["x0"]).fit(df)
    assert model.numClusters == 2
    found = labels(model, df)
    assert found[5] == found[6] != found[4] and found[11] == -1
    new = frame(spark, np.array([[0.2], [5.0]]))
    assert labels(model, new).tolist() == [found[2], -1]


def test_equal_points_and_one_row(spark):
    model = DBSCAN(eps=0.1, featuresCols=["x*"], numPartitions=3).fit(
        frame(spark, np.ones((50, 2)))
    )
    assert (model.numClusters, model.clusterSizes) == (1, [50])
    one = frame(spark, np.ones((1, 2)))
    model = DBSCAN(eps=0.1, featuresCols=["x*"]).fit(one)
    assert model.numClusters == 0 and labels(model, one).tolist() == [-1]


@pytest.mark.long
def test_vectors_and_arrays(spark):
    points = [[0.0, 0.0], [0.0, 0.1], [5.0, 5.0]]
    vectors = spark.createDataFrame(
        [(i, Vectors.dense(p)) for i, p in enumerate(points)], ["id", "features"]
    )
    arrays = spark.createDataFrame(
        [(i, p) for i, p in enumerate(points)], "id int, features array<double>"
    )
    for df in (vectors, arrays):
        assert labels(DBSCAN(eps=0.2, minPoints=2).fit(df), df).tolist() == [0, 0, -1]


@pytest.mark.parametrize("eps", [0.0, -1.0, float("nan"), None])
def test_a_radius_that_is_none(spark, eps):
    with pytest.raises(ConfigurationError, match="eps must be a number above 0"):
        DBSCAN(eps=eps).fit(frame(spark, np.ones((2, 2))))


def test_rows_that_cannot_be_used(spark):
    estimator = DBSCAN(eps=0.1, featuresCols=["x0"])
    for bad in (float("nan"), None, float("inf")):
        df = spark.createDataFrame([(1.0,), (bad,)], "x0 double")
        with pytest.raises(Exception, match="1 of 2 rows have null, NaN or infinite values in x0"):
            estimator.fit(df)
    with pytest.raises(DataError, match="no rows"):
        estimator.fit(spark.createDataFrame([], "x0 double"))
    with pytest.raises(DataError, match="holds strings|not numeric"):
        estimator.fit(spark.createDataFrame([("a",)], "x0 string"))
    with pytest.raises(DataError, match="Did you mean 'x0'"):
        DBSCAN(eps=0.1, featuresCols=["x0x"]).fit(spark.createDataFrame([(1.0,)], "x0 double"))


def test_an_altered_model_is_refused(spark, tmp_path):
    model = DBSCAN(eps=0.5, minPoints=2, featuresCols=["x*"]).fit(frame(spark, np.zeros((5, 2))))
    model.save(str(tmp_path / "model"))
    with (tmp_path / "model" / "cores-00000.npy").open("ab") as file:
        file.write(b"x")
    with pytest.raises(StorageError, match="does not match its manifest"):
        DBSCANModel.load(str(tmp_path / "model"))


def test_coordinates_whose_squares_overflow(spark):
    df = spark.createDataFrame([(0.0,), (0.0,), (1e308,)], "x double")
    with pytest.raises(DataError, match=r"1 of 3 rows .* beyond ±1e\+150") as caught:
        DBSCAN(eps=1.0, minPoints=2).fit(df)
    assert caught.value.code == "not_finite"
