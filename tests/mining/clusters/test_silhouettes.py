"""The silhouette: scikit-learn's, from sums; far from the origin; bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics import silhouette_samples, silhouette_score

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.mining import silhouette
from sparkml_dist.mining.clusters.pairwise_silhouette import (
    pairwise_silhouette,
    silhouettes_of_means,
)
from sparkml_dist.mining.clusters.silhouettes import ClusterSums, row_silhouettes


def blobs(rows=300, away=0.0):
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, rows)
    labels[0] = 9  # a cluster of one row
    return rng.normal(size=(rows, 3)) + labels[:, None] * 1.5 + away, labels


def frame(spark, points, labels):
    table = pd.DataFrame(points, columns=[f"x{i}" for i in range(points.shape[1])])
    return spark.createDataFrame(table.assign(prediction=labels)).repartition(3)


@pytest.mark.parametrize("away", [0.0, 1e6])
def test_rows_from_joined_sums(away):
    points, labels = blobs(away=away)
    cuts = np.split(np.arange(len(points)), [40, 41, 170])
    sums = ClusterSums.joined([ClusterSums.of(points[c], labels[c]) for c in cuts])
    wanted = silhouette_samples(blobs()[0], labels, metric="sqeuclidean")
    assert row_silhouettes(points, labels, sums) == pytest.approx(wanted, abs=1e-7)


@pytest.mark.parametrize("metric", ["euclidean", "cityblock"])
def test_rows_from_mean_distances(metric):
    points, labels = blobs()
    names, own, rows = np.unique(labels, return_inverse=True, return_counts=True)
    distances = cdist(points, points, metric)
    means = np.stack([distances[:, labels == name].mean(axis=1) for name in names], axis=1)
    found = silhouettes_of_means(own, means, rows)
    assert found == pytest.approx(silhouette_samples(points, labels, metric=metric), abs=1e-12)


def test_a_sample_is_within_its_error_and_does_not_depend_on_partitions(spark):
    points, labels = blobs(3_000)
    names, rows = np.unique(labels, return_counts=True)
    df = frame(spark, points, labels).selectExpr(
        "array(x0, x1, x2) point", "double(prediction) label"
    )
    found = [
        pairwise_silhouette(df.repartition(n), 3, names, rows, "euclidean", sample=400, seed=5)
        for n in (1, 5)
    ]
    assert found[0].mean == pytest.approx(found[1].mean, abs=1e-12)
    assert found[0].rows == 400
    values = silhouette_samples(points, labels)
    # Of a sample drawn without replacement.
    wanted = values.std(ddof=1) / 20 * np.sqrt(1 - 400 / 3_000)
    assert found[0].error == pytest.approx(wanted, rel=0.15)
    assert abs(found[0].mean - values.mean()) < 3 * found[0].error


@pytest.mark.modes("connect")
def test_equals_scikit_learn(spark):
    points, labels = blobs()
    df = frame(spark, points, labels)
    for measure in ("sqeuclidean", "cosine", "euclidean", "manhattan"):
        found = silhouette(df, featuresCols=["x*"], distanceMeasure=measure)
        assert found == pytest.approx(silhouette_score(points, labels, metric=measure), abs=1e-10)


@pytest.mark.parametrize(
    ("points", "labels", "code"),
    [
        ([[1.0], [np.inf]], [0.0, 1.0], "not_finite"),
        ([[1.0], [0.0], [2.0]], [0.0, 1.0, 1.0], "zero_vector"),
        ([[1.0], [2.0]], [0.5, 1.0], "invalid_prediction"),
        ([[1.0], [2.0]], [1.0, 1.0], "score_undefined"),
        ([[1.0], [2.0]], [0.0, 1.0], "score_undefined"),
    ],
)
def test_bad_data(spark, points, labels, code):
    df = frame(spark, np.array(points), np.array(labels)).coalesce(1)
    with pytest.raises(DataError) as caught:
        silhouette(df, featuresCols=["x0"], distanceMeasure="cosine")
    assert caught.value.code == code


def test_bad_options(spark):
    df = frame(spark, *blobs(5))
    with pytest.raises(ConfigurationError, match="distanceMeasure"):
        silhouette(df, featuresCols=["x0"], distanceMeasure="chebyshev")
    with pytest.raises(ConfigurationError, match="sampleSize"):
        silhouette(df, featuresCols=["x0"], distanceMeasure="euclidean", sampleSize=1)
    with pytest.raises(ConfigurationError, match="featuresCol"):
        silhouette(df)
    with pytest.raises(DataError, match="clusterz"):
        silhouette(df, featuresCols=["x0"], predictionCol="clusterz")
