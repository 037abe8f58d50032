"""PySpark ML's own machinery around the estimators: Pipeline, CrossValidator, copy, save."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist import BaggingClassificationModel, BaggingClassifier, VotingClassifier
from sparkml_dist.errors import StorageError


@pytest.fixture(scope="module")
def iris(spark):
    frame = load_iris(as_frame=True).frame.rename(columns={"target": "label"})
    return spark.createDataFrame(frame)


def bagging(**settings):
    return BaggingClassifier(
        **{
            "estimator": DecisionTreeClassifier(max_depth=3),
            "numMembers": 3,
            "numShards": 2,
            **settings,
        }
    )


def test_pipeline_with_spark_stages_is_saved_and_loaded(spark, iris, tmp_path):
    from pyspark.ml import Pipeline, PipelineModel
    from pyspark.ml.evaluation import MulticlassClassificationEvaluator
    from pyspark.ml.feature import VectorAssembler

    columns = [c for c in iris.columns if c != "label"]
    assembler = VectorAssembler(inputCols=columns, outputCol="features")
    pipeline = Pipeline(stages=[assembler, bagging()])
    pipeline.save(str(tmp_path / "pipeline"))
    model = Pipeline.load(str(tmp_path / "pipeline")).fit(iris)
    accuracy = MulticlassClassificationEvaluator(metricName="accuracy")
    log_loss = MulticlassClassificationEvaluator(metricName="logLoss")
    assert accuracy.evaluate(model.transform(iris)) > 0.93
    assert 0 < log_loss.evaluate(model.transform(iris)) < 0.5
    assert model.stages[1].schema.feature_names == columns  # from the vector's attributes
    model.save(str(tmp_path / "model"))
    again = PipelineModel.load(str(tmp_path / "model"))
    assert accuracy.evaluate(again.transform(iris)) == accuracy.evaluate(model.transform(iris))


def test_cross_validation_picks_the_better_setting(iris):
    from pyspark.ml.evaluation import MulticlassClassificationEvaluator
    from pyspark.ml.tuning import CrossValidator, ParamGridBuilder

    estimator = bagging(estimator=DecisionTreeClassifier(max_depth=1), numMembers=1)
    grid = (
        ParamGridBuilder()
        .addGrid(
            estimator.estimator,
            [DecisionTreeClassifier(max_depth=1), DecisionTreeClassifier(max_depth=4)],
        )
        .build()
    )
    found = CrossValidator(
        estimator=estimator,
        estimatorParamMaps=grid,
        evaluator=MulticlassClassificationEvaluator(metricName="accuracy"),
        numFolds=2,
        parallelism=2,
        seed=0,
    ).fit(iris)
    assert found.avgMetrics[1] > found.avgMetrics[0]


def test_fit_multiple_cuts_once_and_keeps_order(iris, monkeypatch):
    from sparkml_dist.models import shard_estimator

    cuts = []
    real = shard_estimator.partition
    monkeypatch.setattr(
        shard_estimator, "partition", lambda *a, **k: cuts.append(1) or real(*a, **k)
    )
    estimator = bagging()
    maps = [{estimator.numMembers: n} for n in (1, 2, 4)]
    fitted = dict(estimator.fitMultiple(iris, maps))
    assert [fitted[i].numMembers for i in range(3)] == [1, 2, 4]
    assert len(cuts) == 1


def test_copy_and_params(iris):
    estimator = bagging()
    other = estimator.copy({estimator.numMembers: 7})
    assert (estimator.getNumMembers(), other.getNumMembers()) == (3, 7)
    assert other.uid == estimator.uid
    assert estimator.setVoting("hard") is estimator
    assert "numMembers" in estimator.explainParams()


def test_output_columns_can_be_renamed_and_left_out(iris):
    model = bagging(predictionCol="p", probabilityCol="", rawPredictionCol="").fit(iris)
    assert model.transform(iris).columns == [*iris.columns, "p"]
    model.setPredictionCol("q") if hasattr(model, "setPredictionCol") else model._set(
        predictionCol="q"
    )
    assert "q" in model.transform(iris).columns


def test_model_save_overwrite_and_load(iris, tmp_path):
    model = bagging().fit(iris)
    path = str(tmp_path / "m")
    model.save(path)
    with pytest.raises(StorageError, match="output_exists"):
        model.save(path)
    model.write().overwrite().save(path)
    again = BaggingClassificationModel.load(path)
    assert again.uid == model.uid
    one = np.array([r[0].toArray() for r in model.transform(iris).select("probability").collect()])
    two = np.array([r[0].toArray() for r in again.transform(iris).select("probability").collect()])
    assert np.array_equal(one, two)
    with pytest.raises(StorageError, match="other_class"):
        from sparkml_dist.ensemble import VotingClassificationModel  # noqa: F401

        class Other(BaggingClassificationModel):
            pass

        Other.load(path)


def test_estimators_are_saved_with_their_learners(iris, tmp_path):
    voting = VotingClassifier(
        estimators=[("a", DecisionTreeClassifier(max_depth=2)), ("b", DecisionTreeClassifier())],
        weights=[1.0, 2.0],
        numShards=2,
    )
    voting.save(str(tmp_path / "v"))
    again = VotingClassifier.load(str(tmp_path / "v"))
    assert [n for n, _ in again.getEstimators()] == ["a", "b"]
    assert again.getEstimators()[0][1].max_depth == 2
    assert again.getWeights() == [1.0, 2.0]
    with pytest.raises(StorageError, match="other_class"):
        BaggingClassifier.load(str(tmp_path / "v"))
