"""Isolation forests: published accuracy, any partitioning, bad input, at rest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest as Reference
from sklearn.metrics import roc_auc_score

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.mining import IsolationForest, IsolationForestModel
from sparkml_dist.mining.outliers.isolation_scorer import IsolationScorer
from sparkml_dist.mining.outliers.isolation_trees import (
    IsolationTrees,
    average_path,
    depth_of,
    grow_tree,
)


def clouds(n=600, width=4, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, width))
    points[: n // 20] = rng.uniform(-6, 6, (n // 20, width))
    return points, np.arange(n) < n // 20


def frame(spark, points, partitions=2):
    table = pd.DataFrame(points, columns=[f"x{i}" for i in range(points.shape[1])])
    return spark.createDataFrame(table.assign(id=range(len(points)))).repartition(partitions)


def walked(trees, row, tree):
    """Follow a row down a tree, one node at a time."""
    node = 1
    for _ in range(trees.depth):
        if trees.features is not None:
            value = row[trees.features[tree, node]]
        else:
            value = (row * trees.normals[tree, node]).sum(dtype=np.float32)
        node = 2 * node + (value > trees.thresholds[tree, node])
    return trees.paths[tree, node - len(trees.paths[tree])]


# Many rows: nodes below those levels that are compared as a whole.
@given(
    st.integers(0, 1000),
    st.integers(1, 40) | st.sampled_from([300, 3000]),
    st.sampled_from([None, 0, 2]),
)
def test_scores_are_those_of_walking_down(seed, n, level):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 3)).astype(np.float32)
    grown = [grow_tree(rows, depth_of(n), level, rng) for _ in range(3)]
    tests, thresholds, paths = (np.stack(a) for a in zip(*grown, strict=True))
    trees = IsolationTrees(
        tests if level is None else None, None if level is None else tests, thresholds, paths
    )
    found = IsolationScorer(trees, n)(rows)
    for i in range(min(n, 40)):
        mean = np.mean([walked(trees, rows[i], t) for t in range(3)])
        # Trees of one row tell nothing apart: neither common nor rare.
        expected = 2 ** -(mean / float(average_path(n))) if n > 1 else 0.5
        assert found[i] == pytest.approx(expected, rel=1e-5)


def test_average_path_is_that_of_scikit_learn():
    from sklearn.ensemble._iforest import _average_path_length

    sizes = np.array([0, 1, 2, 3, 10, 256])
    assert average_path(sizes) == pytest.approx(_average_path_length(sizes))


# In the other modes: `tests/test_contract.py`.
def test_outliers_are_found_and_the_model_is_saved(spark, tmp_path):
    points, truth = clouds()
    df = frame(spark, points)
    for method in ("standard", "extended"):
        model = IsolationForest(
            featuresCols=["x*"], method=method, contamination=0.05, seed=1, numMembers=50
        ).fit(df)
        table = model.transform(df).orderBy("id").toPandas()
        assert roc_auc_score(truth, table["outlierScore"]) > 0.95
        assert abs(table["prediction"].sum() - 30) <= 4
        assert table["outlierScore"].between(0, 1).all()
        path = str(tmp_path / method)
        model.save(path)
        again = IsolationForestModel.load(path)
        assert again.threshold == model.threshold
        assert (again.transform(df).orderBy("id").toPandas() == table).all().all()


def test_scores_agree_with_scikit_learn(spark):
    points, _ = clouds(2000)
    model = IsolationForest(featuresCols=["x*"], numMembers=300).fit(frame(spark, points))
    reference = Reference(n_estimators=300, random_state=0).fit(points)
    found, wanted = model.score(points), -reference.score_samples(points)
    assert np.corrcoef(found, wanted)[0, 1] > 0.98
    assert abs(found.mean() - wanted.mean()) < 0.01


def test_trees_do_not_depend_on_partitions(spark):
    points, _ = clouds()
    scores = [
        IsolationForest(featuresCols=["x*"], numMembers=5, seed=3)
        .fit(frame(spark, points, n))
        .score(points)
        for n in (1, 5)
    ]
    assert (scores[0] == scores[1]).all()


@pytest.mark.long
def test_published_accuracy(spark, shared_data):
    data = np.loadtxt(shared_data / "mammography.csv", delimiter=",", comments="#")
    df = frame(spark, data[:, :6]).cache()
    for method, wanted in (("standard", 0.865), ("extended", 0.863)):
        areas = [
            roc_auc_score(
                data[:, 6],
                IsolationForest(featuresCols=["x*"], method=method, seed=seed)
                .fit(df)
                .score(data[:, :6]),
            )
            for seed in range(3)
        ]
        assert np.mean(areas) == pytest.approx(wanted, abs=0.015)
    df.unpersist()


@pytest.mark.parametrize(("samples", "rows"), [(0.25, 20), (1.0, 80), (20, 20), (5000, 80)])
def test_samples_are_a_share_or_a_number(spark, samples, rows):
    points = np.random.default_rng(0).normal(size=(80, 2))
    model = IsolationForest(numMembers=2, maxSamples=samples).fit(frame(spark, points).drop("id"))
    assert model.content["samples"] == rows


@pytest.mark.parametrize("share", [0.0, 0.6, -0.1, float("nan")])
def test_a_share_out_of_range(spark, share):
    with pytest.raises(ConfigurationError, match=r"contamination must be in \(0, 0.5\]"):
        IsolationForest(contamination=share).fit(frame(spark, np.ones((2, 2))))


def test_rows_that_cannot_be_used(spark):
    estimator = IsolationForest(featuresCols=["x0"])
    with pytest.raises(Exception, match="1 of 2 rows have null, NaN or infinite values in x0"):
        estimator.fit(spark.createDataFrame([(1.0,), (float("nan"),)], "x0 double"))
    with pytest.raises(DataError, match="no rows"):
        estimator.fit(spark.createDataFrame([], "x0 double"))


def test_constant_columns_equal_rows_and_one_row(spark, caplog):
    points, truth = clouds(300)
    points[:, 2] = 7.0
    model = IsolationForest(featuresCols=["x*"], numMembers=20).fit(frame(spark, points))
    assert model.summary["constant_columns"] == 1
    assert "1 of 4 columns are constant" in caplog.text
    assert roc_auc_score(truth, model.score(points)) > 0.9
    for rows in (50, 1):
        same = frame(spark, np.ones((rows, 2)))
        model = IsolationForest(featuresCols=["x*"], numMembers=5).fit(same)
        found = model.transform(same).select("outlierScore", "prediction").distinct().collect()
        assert len(found) == 1 and found[0]["prediction"] == 0.0
