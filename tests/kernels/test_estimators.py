"""Estimators over shards, through Spark: what they fit is what the numbers in memory give."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge

import sparkml_dist as sd
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.kernels.clusters.embedding import Embedding
from sparkml_dist.kernels.clusters.lloyd import whole_k_means
from sparkml_dist.kernels.functions.families import kernel_of
from sparkml_dist.kernels.nystroem_map import NystroemMap
from sparkml_dist.kernels.ridge.fit import SolverSettings, solve_machine
from sparkml_dist.kernels.ridge.normal_equations import moments_of_block
from sparkml_dist.kernels.ridge.targets import Targets
from sparkml_dist.kernels.row_source import ShardRows
from sparkml_dist.kernels.scaling import Scaling
from sparkml_dist.kernels.settings import Centered
from tests.long import cases

RNG = np.random.default_rng(1)
X = RNG.normal(size=(240, 3)).astype(np.float32).astype(float)
TABLE = pd.DataFrame(X, columns=["a", "b", "c"])
TABLE["y"] = np.sin(2 * X[:, 0]) + X[:, 1] ** 2
TABLE["kind"] = np.where(TABLE.y > 1, "high", "low")
FEATURES = ["a", "b", "c"]
CENTERS = X[:30].tolist()


@pytest.fixture(scope="module")
def rows(spark):
    return spark.createDataFrame(TABLE).repartition(3).cache()


@pytest.fixture(scope="module")
def shards(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    return sd.partition(
        rows, str(folder / "d"), label="y", features=FEATURES, task="regression", shards=3
    )


def on_centers():
    return Centered(kernel_of("rbf", 1.5), Scaling.none(3), X[:30])


@pytest.mark.modes
def test_ridge_is_that_of_scikit_learn(spark, rows, shards):
    ridge = sd.KernelRidge(
        centers=CENTERS, lengthScale=1.5, standardization=False, alpha=0.1, labelCol="y"
    )
    model = ridge.fit(shards)
    features = Nystroem(gamma=1 / 4.5, n_components=30).fit(X[:30]).transform(X)
    theirs = Ridge(alpha=0.1).fit(features, TABLE.y).predict(features)
    found = model.transform(rows).toPandas().sort_values(FEATURES)
    assert found.prediction.to_numpy() == pytest.approx(
        theirs[np.lexsort((X[:, 2], X[:, 1], X[:, 0]))], abs=1e-7
    )
    local = model.to_sklearn().predict(TABLE[FEATURES])
    assert local == pytest.approx(theirs, abs=1e-7)
    assert model.centers == pytest.approx(X[:30])


def test_sums_are_the_same_to_the_bit_for_any_number_of_tasks(spark, shards):
    found = [
        ShardRows(shards, spark, tasks).add(_gram, (np.array(CENTERS),)) for tasks in (1, 2, 3)
    ]
    assert all(np.array_equal(found[0]["gram"], other["gram"]) for other in found[1:])


def _gram(block, centers):
    from sparkml_dist.kernels.functions.families import kernel_of
    from sparkml_dist.kernels.nystroem_map import NystroemMap
    from sparkml_dist.kernels.ridge.targets import Targets
    from sparkml_dist.kernels.scaling import Scaling
    from sparkml_dist.kernels.settings import Centered

    found = Centered(kernel_of("rbf", 1.5), Scaling.none(3), centers)
    return moments_of_block(block, NystroemMap.of(found), Targets(0))


@pytest.mark.long
@pytest.mark.parametrize("number", [1, 8])
def test_the_number_of_shards_changes_no_more_than_rounding(spark, rows, number):
    given = {"centers": CENTERS, "lengthScale": 1.5, "labelCol": "y", "featuresCols": FEATURES}
    one = sd.KernelRidge(**given, numShards=3).fit(rows)
    two = sd.KernelRidge(**given, numShards=number).fit(rows)
    assert one.coefficients == pytest.approx(two.coefficients, rel=1e-6, abs=1e-8)


@pytest.mark.long
def test_chosen_centres_penalties_and_scales(spark, shards):
    ridge = sd.KernelRidge(
        numCenters=40,
        centerMethod="kmeans++",
        lengthScale="validation",
        alphas=[1e-4, 1e-2, 10.0],
        validationFraction=0.3,
    )
    model = ridge.fit(shards)
    summary = model.summary
    assert summary["centers"] == 40 and summary["passes"] == 1 and len(summary["path"]) == 3
    assert summary["alpha"] == min(summary["path"], key=lambda step: step["loss"])["alpha"]
    errors = model.to_sklearn().predict(TABLE[FEATURES]) - TABLE.y
    assert np.sqrt((errors**2).mean()) < 0.15 < TABLE.y.std()
    # Again from the same rows: the same model, whatever else ran.
    again = ridge.fit(shards)
    assert np.array_equal(again.coefficients, model.coefficients)


@pytest.mark.long
def test_conjugate_gradients_over_shards(spark, shards):
    given = {"centers": CENTERS, "lengthScale": 1.5, "alpha": 10.0}
    steps = sd.KernelRidge(solver="cg", tol=1e-3, **given).fit(shards)
    assert steps.summary["converged"] and steps.summary["iterations"] < 12
    exact = sd.KernelRidge(**given).fit(shards)
    found, wanted = (m.to_sklearn().predict(TABLE[FEATURES]) for m in (steps, exact))
    assert found == pytest.approx(wanted, abs=0.01)


@pytest.mark.long
@pytest.mark.modes
def test_a_gang_and_jobs_come_to_the_same_bits(spark, shards):
    found = on_centers()
    shown = []
    for more in ({"form": "jobs"}, {"form": "gang", "ranks": 2}):
        source = ShardRows(shards, spark, **more)
        settings = SolverSettings((0.1,), True, "squared", "cg", 1e-6, 50, "float64")
        ridge = source.solve(solve_machine, (found, Targets(0), settings), 20)
        clusters = whole_k_means(
            source, Embedding(NystroemMap.of(found)), 3, seed=0, sample=99, max_iter=9, tol=1e-4
        )
        shown.append((ridge["summary"], ridge["coefficients"], clusters.centers))
    (jobs, one, centers), (gang, two, same) = shown
    assert jobs == gang and jobs["passes"] > 3
    assert np.array_equal(one, two) and np.array_equal(centers, same)


@pytest.mark.long
def test_classes_of_strings_and_missing_values(spark):
    holes = TABLE.copy()
    holes.loc[::9, "b"] = np.nan
    frame = spark.createDataFrame(holes)
    given = {"labelCol": "kind", "featuresCols": FEATURES, "numShards": 2, "numCenters": 60}
    with pytest.raises(DataError, match="missing values in the features b") as caught:
        sd.KernelClassifier(**given).fit(frame)
    assert caught.value.code == "not_finite"
    model = sd.KernelClassifier(
        loss="logistic", missing="mean", alpha=0.05, tol=1e-3, centerMethod="leverage", **given
    ).fit(frame)
    found = model.transform(frame).toPandas()
    assert (found.predictedLabel == found.kind).mean() > 0.85
    assert model.classes == ["high", "low"]
    with pytest.raises(Exception, match="not_finite"):  # Spark's, with the error of the task
        sd.KernelClassifier(**given).fit(spark.createDataFrame(TABLE)).transform(frame).collect()


@pytest.mark.parametrize("method", cases(["sparse", "committee"], ["sparse"]))
def test_processes_know_how_far_they_may_be_off(spark, rows, shards, method):
    noise = np.random.default_rng(7).normal(scale=0.3, size=240)
    table = TABLE.assign(y=TABLE.y + noise)
    process = sd.GaussianProcess(
        method=method, numCenters=60, expertRows=60, labelCol="y", featuresCols=FEATURES
    )
    model = process.setParams(numShards=3).fit(spark.createDataFrame(table))
    found = model.transform(rows).toPandas().sort_values(FEATURES)
    mean, std = model.predict(X)
    order = np.lexsort((X[:, 2], X[:, 1], X[:, 0]))
    assert found.prediction.to_numpy() == pytest.approx(mean[order])
    assert found.predictionStd.to_numpy() == pytest.approx(std[order])
    assert np.sqrt(((found.prediction - found.y) ** 2).mean()) < 0.25
    # The noise is known: 0.3; a feature that says nothing has a long length scale.
    assert np.sqrt(model.summary["noise"]) == pytest.approx(0.3, rel=0.25)
    assert model.lengthScales[2] > 2 * model.lengthScales[0]
    assert 0.9 < (np.abs(table.y - mean) < 1.96 * std).mean() <= 1.0
    plain = model.copy().setParams(stdCol="").transform(rows)
    assert "predictionStd" not in plain.columns


def test_features_go_into_a_pipeline(spark, rows):
    from pyspark.ml import Pipeline
    from pyspark.ml.feature import VectorAssembler
    from pyspark.ml.regression import LinearRegression

    stages = [
        VectorAssembler(inputCols=FEATURES, outputCol="features"),
        sd.NystroemFeatures(numCenters=80, lengthScale=1.5),
        LinearRegression(featuresCol="kernelFeatures", labelCol="y", regParam=1e-4),
    ]
    found = Pipeline(stages=stages).fit(rows).transform(rows).toPandas()
    assert ((found.prediction - found.y) ** 2).mean() < 0.02


@pytest.mark.long
def test_features_are_those_of_their_kernel(spark, shards, rows):
    nystroem = sd.NystroemFeatures(centers=CENTERS, lengthScale=1.5, standardization=False)
    model = nystroem.fit(shards)
    theirs = Nystroem(gamma=1 / 4.5, n_components=30).fit(X[:30]).transform(X)
    found = model.features(X)
    assert found @ found.T == pytest.approx(theirs @ theirs.T, abs=1e-9)
    waves = sd.FourierFeatures(numOutputs=20_000, kernel="matern", featuresCols=FEATURES)
    near = waves.fit(rows)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    assert near.scaling.apply(X) == pytest.approx(scaled, abs=1e-9)
    made = near.features(X[:50])
    assert made @ made.T == pytest.approx(near.kernel.matrix(scaled[:50], scaled[:50]), abs=0.05)
    # A median of 1,000 distances of these rows, whose true one is near sqrt(2 · 3).
    assert 1.8 < near.lengthScale < 2.8


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lengthScale": 0.0}, "lengthScale must be"),
        ({"lengthScale": "mean"}, "lengthScale must be"),
        ({"lengthScale": [1.0]}, "lengthScale must be"),
        ({"alpha": 0.0}, "alpha must be > 0"),
        ({"alphas": [0.1, -1.0]}, "alphas must be > 0"),
        ({"alphas": []}, "alphas must hold"),
        ({"solver": "lu"}, "solver must be"),
        ({"precision": "half"}, "precision must be"),
        ({"centerMethod": "grid"}, "centerMethod must be"),
        ({"centers": [[1.0, 2.0], [1.0]]}, "centers must be"),
        ({"centers": [[1.0, 2.0]]}, "centers have 2 coordinates"),
        ({"kernel": "rbv"}, "Did you mean 'rbf'"),
        ({"missing": "drop"}, "missing must be"),
        ({"validationFraction": 1.0}, "validationFraction must be"),
        ({"tol": 0.0}, "tol must be"),
        ({"maxIter": 0}, "maxIter must be"),
    ],
)
def test_wrong_values_are_refused_before_a_job(spark, shards, given, message):
    with pytest.raises(ConfigurationError, match=message) as caught:
        sd.KernelRidge(**given).fit(shards)
    assert caught.value.code == "invalid_param"


@pytest.mark.parametrize(
    ("given", "message", "code"),
    [
        ({"method": "exact"}, "method must be", "invalid_param"),
        ({"kernel": "laplacian"}, "kernel must be one of rbf, matern", "invalid_param"),
        ({"kernel": "matern", "nu": 1.0}, "nu must be 0.5", "invalid_param"),
        ({"sampleRows": 5}, "sampleRows must be", "invalid_param"),
        ({"expertRows": 0}, "expertRows must be", "invalid_param"),
        ({"method": "committee", "centers": CENTERS}, "no centers", "conflicting_params"),
        ({"lengthScale": "validation"}, "lengthScale must be", "invalid_param"),
    ],
)
def test_processes_refuse_wrong_values(spark, shards, given, message, code):
    with pytest.raises(ConfigurationError, match=message) as caught:
        sd.GaussianProcess(**given).fit(shards)
    assert caught.value.code == code


def test_more_centres_than_rows_are_refused(spark, shards, rows):
    for estimator, data in (
        (sd.KernelRidge(numCenters=241), shards),
        (sd.NystroemFeatures(numCenters=241, featuresCols=FEATURES), rows),
    ):
        with pytest.raises(DataError, match="numCenters is 241") as caught:
            estimator.fit(data)
        assert caught.value.code == "too_few_rows" and caught.value.hint
