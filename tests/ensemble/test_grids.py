"""Validators whose grids hold learners are saved and loaded, by Spark's own writer and reader."""

from __future__ import annotations

import json

import pytest
from pyspark.ml import Pipeline
from pyspark.ml.evaluation import MulticlassClassificationEvaluator, RegressionEvaluator
from pyspark.ml.tuning import (
    CrossValidator,
    CrossValidatorModel,
    ParamGridBuilder,
    TrainValidationSplit,
    TrainValidationSplitModel,
)
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sparkml_dist import (
    BaggingClassificationModel,
    BaggingClassifier,
    BaggingRegressor,
    StackingClassifier,
)
from sparkml_dist.errors import StorageError
from sparkml_dist.models.grid_value import GridValue
from tests.ensemble.own_models import Own


@pytest.fixture
def table(spark):
    return spark.range(120).selectExpr(
        "double(id) AS x", "double(id % 7) AS z", "int(id > 50) AS label"
    )


def bags():
    return BaggingClassifier(
        estimator=GaussianNB(), featuresCols=["x", "z"], numMembers=1, numShards=1
    )


def test_a_cross_validator_of_learners(table, tmp_path):
    one = bags()
    pipe = make_pipeline(SelectKBest(f_classif, k=1), LogisticRegression())
    grid = (
        ParamGridBuilder()
        .addGrid(one.estimator, [DecisionTreeClassifier(max_depth=2), pipe])
        .build()
    )
    cv = CrossValidator(
        estimator=one,
        estimatorParamMaps=grid,
        evaluator=MulticlassClassificationEvaluator(),
        numFolds=2,
    )
    cv.write().overwrite().save(str(tmp_path / "cv"))
    again = CrossValidator.load(str(tmp_path / "cv"))
    found = [next(iter(m.values())) for m in again.getEstimatorParamMaps()]
    assert found[0].max_depth == 2
    assert repr(found[1]) == repr(pipe)
    model = again.fit(table)
    assert isinstance(model.bestModel, BaggingClassificationModel)
    model.write().overwrite().save(str(tmp_path / "model"))
    loaded = CrossValidatorModel.load(str(tmp_path / "model"))
    assert loaded.transform(table).where("prediction = label").count() > 100
    loaded.write().overwrite().save(str(tmp_path / "once-more"))
    text = "".join(p.read_text(errors="ignore") for p in tmp_path.rglob("part-*"))
    assert "pickle" not in text


@pytest.mark.long
def test_a_grid_by_hand_over_a_pipeline(table, tmp_path):
    one = bags()
    grid = [{one.estimator: DecisionTreeClassifier()}, {one.numMembers: 2}]
    split = TrainValidationSplit(
        estimator=Pipeline(stages=[one]),
        estimatorParamMaps=grid,
        evaluator=MulticlassClassificationEvaluator(),
    )
    model = split.fit(table)
    model.write().overwrite().save(str(tmp_path / "m"))
    again = TrainValidationSplitModel.load(str(tmp_path / "m"))
    assert again.transform(table).count() == 120


@pytest.mark.long
def test_grids_of_named_learners_and_of_regressors(spark, table, tmp_path):
    two = [("t", DecisionTreeClassifier(max_depth=2)), ("l", LogisticRegression())]
    stack = StackingClassifier(estimators=two[:1], numFolds=2, numShards=1)
    grid = (
        ParamGridBuilder()
        .addGrid(stack.estimators, [two])
        .addGrid(stack.finalEstimator, [GaussianNB(), LogisticRegression()])
        .build()
    )
    split = TrainValidationSplit(
        estimator=stack, estimatorParamMaps=grid, evaluator=MulticlassClassificationEvaluator()
    )
    split.write().overwrite().save(str(tmp_path / "s"))
    again = TrainValidationSplit.load(str(tmp_path / "s"))
    maps = [{p.name: v for p, v in m.items()} for m in again.getEstimatorParamMaps()]
    assert [name for name, _ in maps[0]["estimators"]] == ["t", "l"]
    made = again.getEstimator().copy(again.getEstimatorParamMaps()[0])
    assert [type(learner) for _, learner in made.getEstimators()] == [
        DecisionTreeClassifier,
        LogisticRegression,
    ]
    assert isinstance(made.getFinalEstimator(), GaussianNB)
    trees = BaggingRegressor(estimator=DecisionTreeRegressor(), featuresCols=["x"], numShards=1)
    grid = ParamGridBuilder().addGrid(trees.estimator, [LinearRegression()]).build()
    cv = CrossValidator(
        estimator=trees, estimatorParamMaps=grid, evaluator=RegressionEvaluator(), numFolds=2
    )
    cv.write().overwrite().save(str(tmp_path / "r"))
    assert CrossValidator.load(str(tmp_path / "r")).fit(table).transform(table).count() == 120


def test_a_param_has_the_learner_itself():
    one = bags()
    assert type(one.getEstimator()) is GaussianNB
    one.set(one.estimator, LogisticRegression())
    assert type(one.getEstimator()) is LogisticRegression
    assert type(one.copy({one.estimator: GridValue(GaussianNB())}).getEstimator()) is GaussianNB


def test_a_grid_is_loaded_through_the_allow_list(spark, tmp_path):
    path = str(tmp_path / "v")
    GridValue(Own()).save(path)
    with pytest.raises(StorageError, match="own_models.Own"):
        GridValue.load(path)
    assert isinstance(GridValue.load(path, trusted=["tests.ensemble.own_models.Own"]).value, Own)
    manifest = json.loads((tmp_path / "v" / "manifest.json").read_text())
    assert manifest["class"] == "GridValue"
