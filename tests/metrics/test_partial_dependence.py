"""Partial dependence against scikit-learn's, of the same model in memory."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.inspection import partial_dependence
from sklearn.inspection._partial_dependence import _grid_from_X
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import sparkml_dist as sd
from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.metrics.dependence_grid import column_values, grid_of, with_values


def test_grids_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    for values, size in ((rng.integers(0, 9, 200), 20), (rng.normal(size=500), 20)):
        X = values.astype(np.float32)[:, None]
        found = grid_of(X[:, 0], False, size, 0.05)["values"]
        _, (expected,) = _grid_from_X(X, (0.05, 0.95), [False], size, {})
        # Quantiles are interpolated in another way.
        np.testing.assert_allclose(found, expected, atol=0.05)


def test_grids_of_few_and_of_missing_values():
    nan = np.float32("nan")
    assert grid_of(np.array([nan, 2, 2], np.float32), False, 20, 0.05)["values"] == [2.0]
    assert grid_of(np.array([nan], np.float32), False, 20, 0.05) == {"values": [], "deciles": []}
    mostly = np.append(np.zeros(1000, np.float32), np.arange(1, 5))
    assert len(grid_of(mostly, False, 3, 0.05)["values"]) == 3
    codes = np.array([0, 1, 1, 2, 2, 2, nan], np.float32)
    assert grid_of(codes, True, 2, 0.05)["values"] == [1.0, 2.0]


def test_each_value_in_all_rows():
    dense = np.array([[0, 1, 2], [3, 0, 0], [0, 0, 4]], np.float32)
    for feature in range(3):
        expected = np.concatenate([dense, dense])
        expected[:, feature] = [0, 0, 0, 7, 7, 7]
        assert (with_values(dense, feature, [0.0, 7.0]) == expected).all()
        found = with_values(sp.csr_matrix(dense), feature, [0.0, 7.0])
        assert (found.toarray() == expected).all() and found.has_canonical_format
        assert found.dtype == np.float32
    assert dense[0, 0] == 0
    assert column_values(sp.csr_matrix(dense), 2).tolist() == [2.0, 0.0, 4.0]


def frame():
    rng = np.random.default_rng(1)
    x, z = rng.normal(size=(2, 240)).round(2)
    kind = np.array(["a", "b", "c"])[rng.integers(0, 3, 240)]
    score = x + (kind == "b") + 0.3 * z
    return pd.DataFrame(
        {
            "x": x,
            "z": np.where(rng.random(240) < 0.1, np.nan, z),
            "kind": kind,
            "pair": list(np.column_stack([z, x])),
            "label": np.array(["low", "mid", "top"])[np.digitize(score, [0, 1])],
            "y": score,
        }
    )


@pytest.fixture(scope="module")
def rows(spark):
    found = frame()
    return spark.createDataFrame(found).repartition(3), found


SETTINGS = {
    "numMembers": 2,
    "numShards": 2,
    "featuresCols": ["x", "z", "kind", "pair"],
    "categoricalCols": ["kind"],
}


def compared(model, df, data, features):
    """Compare the averages of a model with scikit-learn's at the same values."""
    local = model.to_sklearn()
    X = np.concatenate(list(_encoded(model, data)))
    found = model.partialDependence(df, features, gridSize=5)
    assert found.rows == len(data) and [f.feature for f in found] == features
    for f in found:
        place = model.schema.feature_names.index(f.feature)
        values = [
            float(model.schema.columns[2].categories.index(v)) if f.is_categorical else v
            for v in f.values
        ]
        expected = partial_dependence(
            local, X, [place], custom_values={place: values}, method="brute", kind="average"
        )["average"]
        average = f.average if f.average.ndim == 1 else f.average.T
        if len(expected) == 1 and average.ndim > 1:
            average = average[[1]]
        # Probabilities of members are float32.
        np.testing.assert_allclose(np.atleast_2d(average), expected, atol=1e-6)
    return found


def _encoded(model, data):
    from sparkml_dist.models.local_features import feature_blocks

    return feature_blocks(data, model.schema)


@pytest.mark.modes("local-cluster")
def test_a_classifier_with_categories_arrays_and_missing_values(spark, rows):
    df, data = rows
    model = sd.BaggingClassifier(
        estimator=DecisionTreeClassifier(max_depth=4), labelCol="label", **SETTINGS
    ).fit(df)
    found = compared(model, df, data, ["kind", "x", "z", "pair[1]"])
    assert found["kind"].values == ("a", "b", "c") and found["kind"].average.shape == (3, 3)
    assert found.classes == ("low", "mid", "top") and found["x"].spread > 0.1
    assert len(found["x"].values) == 5 and len(found["x"].deciles) == 9
    written = found.to_dict()
    assert written["features"][0]["values"] == ["a", "b", "c"] and written["rows"] == 240
    few = model.partialDependence(df.drop("label"), ["x"], maxRows=60, seed=3)
    assert 20 < few.rows < 120
    again = model.partialDependence(df.repartition(5), ["x"], maxRows=60, seed=3)
    np.testing.assert_allclose(few["x"].average, again["x"].average, rtol=1e-12)
    for features, code in ((["xx"], "unknown_feature"), ([], "invalid_param")):
        with pytest.raises(SparkMLDistError) as caught:
            model.partialDependence(df, features)
        assert caught.value.code == code
    with pytest.raises(SparkMLDistError) as caught:
        model.partialDependence(df, ["x"], gridSize=1)
    assert "gridSize" in caught.value.message
    with pytest.raises(SparkMLDistError) as caught:
        model.partialDependence(df.limit(0), ["x"])
    assert caught.value.code == "empty_data"
    with pytest.raises(KeyError):
        found["label"]


def test_a_regressor(spark, rows):
    df, data = rows
    model = sd.BaggingRegressor(
        estimator=DecisionTreeRegressor(max_depth=4), labelCol="y", **SETTINGS
    ).fit(df)
    found = compared(model, df, data, ["x", "kind"])
    assert found["x"].average.shape == (5,) and found.classes == ()
