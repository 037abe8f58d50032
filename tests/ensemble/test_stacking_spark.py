"""Spark ML stages, and networks, as bases beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pyspark.ml import Pipeline
from pyspark.ml.classification import LinearSVC, LogisticRegression, NaiveBayes
from pyspark.ml.feature import StandardScaler, VectorIndexer
from pyspark.ml.linalg import Vectors
from pyspark.ml.regression import LinearRegression
from pyspark.sql import functions as F
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression as PlainRegression
from sklearn.naive_bayes import GaussianNB

from sparkml_dist import KerasClassifier, load_model, partition
from sparkml_dist.dataset.subsets import Fold
from sparkml_dist.ensemble.stacking.blending import BlendingClassifier
from sparkml_dist.ensemble.stacking.spark_rows import feature_vector, shard_rows
from sparkml_dist.ensemble.stacking.stacking import StackingClassifier, StackingRegressor
from sparkml_dist.errors import ConfigurationError, StorageError, TrainingError


@pytest.fixture(scope="module")
def iris(spark):
    frame = load_iris(as_frame=True).frame.rename(columns={"target": "label"})
    names = np.array(["setosa", "versicolor", "virginica"])
    return spark.createDataFrame(frame.assign(label=names[frame["label"]]))


@pytest.fixture(scope="module")
def shards(iris, tmp_path_factory):
    path = tmp_path_factory.mktemp("a") / "d"
    return partition(iris, path, label="label", shards=2)


def test_out_of_fold_predictions_line_up_with_the_rows(spark, iris, shards, tmp_path):
    """Each fold by Spark ML itself, on rows that are joined on nothing but their order."""
    line = LogisticRegression(maxIter=10, regParam=0.01)
    settings = {"estimators": [("line", line), ("bayes", GaussianNB())], "numFolds": 2}
    settings |= {"modelDir": str(tmp_path / "m"), "keepLevelOne": True, "seed": 3}
    stacking = StackingClassifier(**settings)
    model = stacking.fit(shards)
    blocks = [shards.read_block(s) for s in range(2)]
    X = np.concatenate([b.X for b in blocks]).astype(float)
    y = np.concatenate([b.y for b in blocks])
    key = np.concatenate([b.key for b in blocks])
    expected = np.zeros((len(y), 3))
    for f in range(2):
        inside = Fold(2, f, 3).mask(key)
        rows = [(Vectors.dense(x), float(c)) for x, c in zip(X, y, strict=True)]
        seen = [r for r, i in zip(rows, inside, strict=True) if not i]
        fitted = line.fit(spark.createDataFrame(seen, ["features", "label"]).coalesce(1))
        asked = [(n, r[0]) for n, (r, i) in enumerate(zip(rows, inside, strict=True)) if i]
        told = fitted.transform(spark.createDataFrame(asked, ["n", "features"]))
        for n, p in told.select("n", "probability").collect():
            expected[n] = p.toArray()
    found = np.concatenate([model.levelOne.read_block(s).X for s in range(2)])
    assert np.allclose(found[:, :3], expected, atol=1e-4)
    assert model.levelOneNames[0] == "line:setosa"

    # The model lies in its folder, with Spark ML's files, and works without the fit.
    files = {f.name for f in model.files}
    assert any(n.startswith("spark-line/whole/metadata/") for n in files)
    assert not (tmp_path / "m" / "spark-line" / "part-0").exists()
    model.save(str(tmp_path / "copy"))
    again = load_model(str(tmp_path / "copy"))
    wide = iris.withColumn("features", F.lit("in the way")).withColumn("a.b", F.lit(1))
    rows = again.transform(wide).select("label", "predictedLabel", "features", "`a.b`").collect()
    assert np.mean([r[0] == r[1] for r in rows]) > 0.93
    assert {(r[2], r[3]) for r in rows} == {("in the way", 1)}
    assert not [c for c in again.transform(iris).columns if c.startswith("_")]

    # A fit that lost its model of one fold, and its final estimator.
    (tmp_path / "m" / "meta" / "complete.json").unlink()
    resumed = stacking.copy().setParams(resume=True).fit(shards)
    assert resumed.content == model.content
    done = stacking.copy().setParams(resume=True).fit(shards)
    assert done.summary["fitted_now"] == 0
    with pytest.raises(ConfigurationError) as error:
        other = [("line", LogisticRegression(maxIter=3)), ("bayes", GaussianNB())]
        StackingClassifier(**(settings | {"estimators": other}), resume=True).fit(shards)
    assert error.value.code == "plan_differs"

    part = next((tmp_path / "copy" / "spark-line" / "whole" / "data").glob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    with pytest.raises(StorageError, match="file_altered"):
        load_model(str(tmp_path / "copy"))


@pytest.mark.long
def test_pipelines_blend_and_the_estimator_is_saved(iris, shards, tmp_path):
    scaler = StandardScaler(inputCol="features", outputCol="scaled")
    last = LogisticRegression(featuresCol="scaled", maxIter=10)
    blending = BlendingClassifier(
        estimators=[("pipe", Pipeline(stages=[scaler, last])), ("bayes", GaussianNB())],
        validationFraction=0.3,
    )
    blending.save(str(tmp_path / "b"))
    again = BlendingClassifier.load(str(tmp_path / "b"))
    assert [n for n, _ in again.getEstimators()] == ["pipe", "bayes"]
    assert again.getEstimators()[0][1].getStages()[1].getFeaturesCol() == "scaled"
    model = again.fit(shards)
    rows = model.transform(iris).select("label", "predictedLabel").collect()
    assert np.mean([r[0] == r[1] for r in rows]) > 0.9


@pytest.mark.modes("local-cluster")
def test_regressors_of_spark_ml(spark, tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 2)), columns=["a", "b"])
    df = spark.createDataFrame(frame.assign(label=3 * frame["a"] - frame["b"] + 7))
    data = partition(df, tmp_path / "d", label="label", shards=2, task="regression")
    model = StackingRegressor(
        estimators=[("line", LinearRegression())], finalEstimator=PlainRegression(), numFolds=2
    ).fit(data)
    rows = model.transform(df).select("label", "prediction").collect()
    # Without noise the lines are exact, but for features that were rounded to float32.
    assert np.allclose([r[0] for r in rows], [r[1] for r in rows], rtol=0, atol=1e-5)


def test_rows_are_the_same_for_shards_and_for_data_frames(spark, tmp_path):
    """Categories, arrays, nulls, sparse vectors: what Spark ML learns from it is asked with."""
    rows = [
        ("x", 1.5, [1.0, 2.0], 0, 1),
        ("y", None, [3.0, 4.0], 1, 2),
        ("x", 0.1, [5.0, 6.0], 0, 3),
    ]
    df = spark.createDataFrame(rows, "word string, n double, v array<double>, label int, id int")
    data = partition(
        df, tmp_path / "a", label="label", features=["word", "n", "v"], key="id",
        categorical=["word"], shards=2,
    )  # fmt: skip
    stored = {str(r[0]) for r in shard_rows(spark, data, []).select("features").collect()}
    shown = {str(r[0]) for r in df.select(feature_vector(data.schema)).collect()}
    assert stored == shown
    assert any("nan" in s.lower() for s in shown)
    sparse = spark.createDataFrame(
        [(Vectors.sparse(5, {1: 2.0}), 0), (Vectors.sparse(5, {0: 1.0, 4: 3.0}), 1)],
        ["f", "label"],
    )
    data = partition(sparse, tmp_path / "b", label="label", features=["f"], shards=1)
    assert data.layout == "sparse"
    stored = {str(r[0]) for r in shard_rows(spark, data, []).select("features").collect()}
    assert stored == {str(r[0]) for r in sparse.select(feature_vector(data.schema)).collect()}


@pytest.mark.long
def test_a_class_that_a_fold_lacks_is_reported(spark, tmp_path):
    """Spark ML then gives a narrower vector; the base is named, and no column is misplaced."""
    n = 120
    y = np.where(np.arange(n) < 5, 2, np.arange(n) % 2)
    frame = pd.DataFrame({"a": np.arange(n) % 7, "label": y})
    frame["key"] = np.where(y == 2, -1, np.arange(n))
    df = spark.createDataFrame(frame)
    data = partition(df, tmp_path / "d", label="label", features="a", key="key", shards=1)
    with pytest.raises(TrainingError, match="'bayes' returned 2 probabilities for 3") as e:
        StackingClassifier(estimators=[("bayes", NaiveBayes())], numFolds=2).fit(data)
    assert e.value.code == "output_width"


@pytest.mark.long
def test_a_base_without_an_output_for_some_rows(shards):
    """Values that a fold has not seen make this stage drop rows."""
    indexer = VectorIndexer(
        inputCol="features", outputCol="indexed", maxCategories=50, handleInvalid="skip"
    )
    base = Pipeline(stages=[indexer, NaiveBayes(featuresCol="indexed")])
    with pytest.raises(TrainingError, match="'lossy' has no output.*handleInvalid") as caught:
        StackingClassifier(estimators=[("lossy", base)], numFolds=2).fit(shards)
    assert caught.value.code == "output_missing"


@pytest.mark.long
def test_a_base_whose_output_is_nan(spark, tmp_path):
    """Without smoothing, the logarithm of what a class never shows is infinite: 0 times that."""
    rows = [(0.0, 1.0 + i % 3, "a") if i % 2 else (1.0 + i % 3, 1.0, "b") for i in range(60)]
    frame = spark.createDataFrame(rows, "x double, y double, label string")
    data = partition(frame, tmp_path / "d", label="label", shards=2)
    with pytest.raises(TrainingError, match="'counts' returned NaN.*Imputer") as caught:
        StackingClassifier(estimators=[("counts", NaiveBayes(smoothing=0.0))], numFolds=2).fit(data)
    assert caught.value.code == "output_missing"


def test_stages_that_cannot_be_bases(shards):
    with pytest.raises(ConfigurationError, match="LinearSVC, has no probabilityCol") as error:
        StackingClassifier(estimators=[("svc", LinearSVC())]).fit(shards)
    assert error.value.code == "no_probabilities"
    with pytest.raises(TrainingError, match="'line' failed") as failed:
        bad = LogisticRegression(family="binomial")
        StackingClassifier(estimators=[("line", bad)], numFolds=2).fit(shards)
    assert failed.value.code == "member_failed"


@pytest.mark.long
def test_a_network_is_a_base(iris, shards):
    network = KerasClassifier(builder="mlp", numRanks=1, epochs=1, numShards=1)
    model = BlendingClassifier(
        estimators=[("net", network), ("bayes", GaussianNB())], validationFraction=0.4
    ).fit(shards)
    rows = model.transform(iris).select("label", "predictedLabel").collect()
    assert np.mean([r[0] == r[1] for r in rows]) > 0.85
    assert model.finalLearners()[0].coef_.shape == (3, 6)
