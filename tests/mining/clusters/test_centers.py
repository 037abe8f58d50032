"""k-means by sweep and by mini-batches, k-medoids: against scikit-learn, and swap by swap."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans as Reference
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score, pairwise_distances, silhouette_score

from sparkml_dist import CentersModel, KMeans, KMedoids, MiniBatchKMeans, partition
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.mining.clusters.medoid_search import find_medoids
from sparkml_dist.mining.clusters.nearest_center import center_distances
from tests.long import cases

NAMES = ["x", "y", "z"]


@pytest.fixture(scope="module")
def blobs():
    return make_blobs(1500, 3, centers=4, cluster_std=1.0, random_state=3)


@pytest.fixture(scope="module")
def frame(spark, blobs):
    points, labels = blobs
    table = pd.DataFrame(points, columns=NAMES).assign(label=labels)
    return spark.createDataFrame(table).repartition(2).persist()


def found_clusters(model, frame):
    rows = model.transform(frame).select(*NAMES, "label", "prediction").toPandas()
    return rows[NAMES].to_numpy(), rows["label"].to_numpy(), rows["prediction"].to_numpy()


@pytest.mark.long
def test_the_sweep_finds_the_number_of_clusters(frame, blobs, tmp_path):
    model = KMeans(ks=[2, 4, 6], featuresCols=NAMES).fit(frame)
    scores = model.summary["scores"]
    assert [s["k"] for s in scores] == [2, 4, 6]
    assert max(scores, key=lambda s: s["silhouette"])["k"] == model.numClusters == 4
    points, labels, predicted = found_clusters(model, frame)
    reference = Reference(4, n_init=10, random_state=0).fit(blobs[0])
    assert model.summary["inertia"] == pytest.approx(reference.inertia_, rel=1e-3)
    wanted = silhouette_score(points, predicted, metric="sqeuclidean")
    assert model.summary["silhouette"] == pytest.approx(wanted, abs=1e-9)
    assert adjusted_rand_score(labels, predicted) == 1.0
    sizes = np.bincount(predicted)
    assert model.clusterSizes == sizes.tolist() == sorted(sizes, reverse=True)
    model.save(str(tmp_path / "model"))
    again = CentersModel.load(str(tmp_path / "model"))
    assert np.array_equal(again.predict(points), predicted)


@pytest.mark.long
def test_mini_batches_come_near_k_means(spark, frame, blobs, tmp_path):
    reference = Reference(4, n_init=10, random_state=0).fit(blobs[0])
    data = partition(frame, tmp_path / "shards", label="label", features=NAMES, shards=2)
    for given_as in (frame, data):
        model = MiniBatchKMeans(k=4, batchSize=256, featuresCols=NAMES).fit(given_as)
        assert model.summary["inertia"] == pytest.approx(reference.inertia_, rel=0.03)
        _, labels, predicted = found_clusters(model, frame)
        assert adjusted_rand_score(labels, predicted) == 1.0
        assert model.summary["rows"] == 1500


@pytest.mark.parametrize(
    "metric", cases(["euclidean", "manhattan", "cosine"], ["manhattan", "cosine"])
)
def test_medoids_are_rows_and_have_the_cost_of_the_summary(frame, blobs, metric):
    model = KMedoids(k=4, distanceMeasure=metric, numSamples=2, sampleSize=200, featuresCols=NAMES)
    model = model.fit(frame)
    rows = {tuple(row) for row in blobs[0]}
    assert all(tuple(center) in rows for center in model.clusterCenters)
    distances = pairwise_distances(blobs[0], model.clusterCenters, metric=metric)
    assert model.summary["cost"] == pytest.approx(distances.min(axis=1).sum())
    assert model.summary["cost"] == min(model.summary["costs_by_sample"])
    if metric != "cosine":
        _, labels, predicted = found_clusters(model, frame)
        assert adjusted_rand_score(labels, predicted) == 1.0


@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(0, 9), st.booleans())
def test_no_swap_lowers_the_cost(seed, k, more, coarse):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(k + more, 2))
    if coarse:  # equal rows and equal distances
        points = points.round()
    distances = pairwise_distances(points)
    medoids = find_medoids(distances, k, rng)
    assert len(set(medoids.tolist())) == k

    def cost(chosen):
        return distances[:, chosen].min(axis=1).sum()

    for at in range(k):
        for other in set(range(len(points))) - set(medoids.tolist()):
            swapped = medoids.copy()
            swapped[at] = other
            assert cost(swapped) >= cost(medoids) - 1e-9


@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "cosine"])
def test_distances_are_those_of_scikit_learn(metric):
    rng = np.random.default_rng(0)
    points, centers = rng.normal(size=(50, 4)) * 1e3, rng.normal(size=(3, 4)) * 1e3
    expected = pairwise_distances(points, centers, metric=metric)
    assert center_distances(points, centers, metric) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("estimator", "rows", "code"),
    [
        (KMeans(k=3), [[1.0], [1.0], [2.0]], "too_few_rows"),
        (MiniBatchKMeans(k=3), [[1.0], [1.0], [2.0]], "too_few_rows"),
        (KMedoids(k=3), [[1.0], [1.0], [2.0]], "too_few_rows"),
        (KMeans(k=2), [[1.0], [float("nan")]], "not_finite"),
        (KMedoids(k=2), [[1.0], [float("nan")]], "not_finite"),
        (KMedoids(k=1, distanceMeasure="cosine"), [[1.0], [0.0]], "zero_vector"),
    ],
)
def test_bad_rows(spark, estimator, rows, code):
    df = spark.createDataFrame(pd.DataFrame(rows, columns=["x"])).coalesce(1)
    with pytest.raises(DataError, match=code):
        estimator.fit(df)


@pytest.mark.long
def test_a_value_of_one_row_is_a_center_where_values_are_few(spark):
    values = np.repeat([0.0, 1.0, 50.0], [5_000, 5_000, 1])
    df = spark.createDataFrame(pd.DataFrame({"x": values})).coalesce(1)
    model = MiniBatchKMeans(k=3, batchSize=1024).fit(df)
    assert sorted(model.clusterCenters.ravel()) == [0.0, 1.0, 50.0]
    assert model.summary["inertia"] == 0
    # One value more than centers are held apart: mini-batches take over, rare rows or not.
    values = np.concatenate([values, np.arange(10) / 100 + 2])
    df = spark.createDataFrame(pd.DataFrame({"x": values})).coalesce(1)
    assert MiniBatchKMeans(k=3, batchSize=1024).fit(df).summary["rows"] == len(values)


@pytest.mark.long
def test_few_rows_beside_one_frequent_value_still_make_clusters(spark):
    values = np.concatenate([np.zeros(40_000), np.arange(1.0, 13.0)])
    df = spark.createDataFrame(pd.DataFrame({"x": values})).coalesce(1)
    model = MiniBatchKMeans(k=3, batchSize=1024).fit(df)
    assert len(np.unique(model.clusterCenters)) == 3
    assert sum(model.clusterSizes) == len(values)
    # All in one center: 650 - 78**2 / 40_012.
    assert model.summary["inertia"] < 100


def test_medoids_are_nearly_always_the_best_there_are():
    optimal, cases = 0, 150
    for seed in range(cases):
        rng = np.random.default_rng(seed)
        points = rng.normal(size=(9, 2))
        distances = center_distances(points, points, "euclidean")
        k = int(rng.integers(1, 5))
        best = min(distances[:, c].min(axis=1).sum() for c in map(list, combinations(range(9), k)))
        found = distances[:, find_medoids(distances, k, rng)].min(axis=1).sum()
        assert found >= best - 1e-9
        optimal += found <= best + 1e-9
    # Swaps end in a local minimum now and then.
    assert optimal >= 0.9 * cases


def test_no_rows(frame):
    for estimator in (KMeans(k=2), MiniBatchKMeans(k=2), KMedoids(k=2)):
        with pytest.raises(DataError, match="no rows"):
            estimator.fit(frame.limit(0))


@pytest.mark.parametrize(
    ("estimator", "text"),
    [
        (KMeans(k=0), "k must be at least 1. Got 0"),
        (KMeans(ks=[1, 2]), "ks must be numbers from 2 on"),
        (MiniBatchKMeans(batchSize=0), "batchSize must be at least 1"),
        (
            KMedoids(distanceMeasure="jaccard"),
            "distanceMeasure must be one of euclidean, manhattan, cosine",
        ),
        (KMedoids(k=10, sampleSize=10), "sampleSize must be more than k"),
    ],
)
def test_bad_params(frame, estimator, text):
    with pytest.raises(ConfigurationError, match=text):
        estimator.fit(frame)
