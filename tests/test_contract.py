"""What every public estimator and model keeps: the contract of PySpark ML, and this library's."""

from __future__ import annotations

import inspect
import tempfile
from pathlib import Path

import pytest
from pyspark.ml.base import Estimator, Model
from pyspark.ml.param import TypeConverters

import sparkml_dist as sd
from sparkml_dist.errors import SparkMLDistError
from tests.contract import BUILDER, CASES, PUBLIC, VOTED, estimator, frames

SET_UP = [name for name, kind in PUBLIC.items() if issubclass(kind, Estimator)]
FITTED = [*CASES, *VOTED]
ONCE = [name for name, case in CASES.items() if case.group == "networks"]
OFTEN = [name for name in CASES if name not in ONCE]
# A value of each type, for Params that have none.
VALUES = {
    TypeConverters.toInt: 3,
    TypeConverters.toFloat: 0.25,
    TypeConverters.toString: "64m",
    TypeConverters.toBoolean: True,
    TypeConverters.toListInt: [3],
    TypeConverters.toListFloat: [0.5],
    TypeConverters.toListString: ["a"],
}


@pytest.fixture(scope="module")
def rows(spark):
    return {name: frame.cache() for name, frame in frames(spark).items()}


@pytest.fixture(scope="module")
def builder(tmp_path_factory):
    file = tmp_path_factory.mktemp("builder") / "net.py"
    file.write_text(BUILDER)
    return f"{file}:small"


@pytest.fixture(scope="module")
def pipelines(rows, builder):
    """Pipelines of one stage, each fitted when it is first asked for."""
    from pyspark.ml import Pipeline

    made = {}

    def of(name):
        if name not in made:
            stage = estimator(name, builder)
            made[name] = Pipeline(stages=[stage]).fit(rows[CASES[name].rows])
        return made[name]

    return of


@pytest.fixture(scope="module")
def fitted(pipelines):
    """Fitted models by the name of their estimator, or by their own where they are votes."""
    made = {}

    def of(name):
        if name not in VOTED:
            return pipelines(name).stages[0]
        if name not in made:
            made[name] = sd.vote([pipelines(part).stages[0] for part in VOTED[name]])
        return made[name]

    return of


def _capital(name):
    return name[0].upper() + name[1:]


def _values(instance):
    return {p.name: v for p, v in instance.extractParamMap().items()}


def _column(model, name, rows):
    case = CASES[VOTED[name][0] if name in VOTED else name]
    frame = rows["baskets" if case.rows == "itemsets" else case.rows]
    output = "neighbors" if name == "NearestNeighbors" else case.output
    return [row[0] for row in model.transform(frame).select(output).collect()]


# -- what needs no session ----------------------------------------------------------------


def test_every_public_class_has_a_case():
    models = {case.model for case in CASES.values()}
    assert {*CASES, *models, *VOTED, "GridValue"} == set(PUBLIC)
    assert set(SET_UP) == set(CASES)


@pytest.mark.parametrize("name", SET_UP)
def test_constructors_spell_out_params_and_defaults(name):
    kind, plain = PUBLIC[name], PUBLIC[name]()
    parameters = inspect.signature(kind).parameters
    assert {p.kind for p in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert set(parameters) == {p.name for p in plain.params}
    assert all(p.annotation is not inspect.Parameter.empty for p in parameters.values())
    written = {n: p.default for n, p in parameters.items() if p.default is not None}
    assert {n: plain.getParam(n).typeConverter(v) for n, v in written.items()} == _values(plain)
    assert not any(plain.isSet(p) for p in plain.params)
    # In the class itself, where editors and readers look.
    assert "__init__" in vars(kind)
    with pytest.raises(TypeError):
        kind(1)
    with pytest.raises(SparkMLDistError) as caught:
        kind(sead=1)
    assert caught.value.code == "unknown_param" and caught.value.hint


def _get_and_set(instance):
    """Go through all Params of an estimator or a model."""
    explained = instance.explainParams()
    for declared in instance.params:
        name, capital = declared.name, _capital(declared.name)
        assert f"{name}: {declared.doc}" in explained
        get, set_ = getattr(instance, f"get{capital}"), getattr(instance, f"set{capital}")
        if instance.isDefined(declared):
            assert get() == instance.getOrDefault(declared)
        value = VALUES.get(declared.typeConverter, "value")
        before = instance.extractParamMap()
        copied = instance.copy({declared: value})
        assert copied.uid == instance.uid
        assert copied.getOrDefault(declared) == value
        assert instance.extractParamMap() == before
        assert set_(value) is instance
        assert get() == value
        if declared.typeConverter in (TypeConverters.toInt, TypeConverters.toFloat):
            with pytest.raises(SparkMLDistError) as caught:
                set_("three")
            assert name in caught.value.message and caught.value.hint


@pytest.mark.parametrize("name", SET_UP)
def test_estimators_have_getters_setters_and_copies(name):
    _get_and_set(estimator(name))


# -- what fits ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", FITTED)
def test_models_have_getters_setters_and_copies(spark, fitted, name):
    model = fitted(name)
    assert type(model).__name__ == (name if name in VOTED else CASES[name].model)
    _get_and_set(model.copy())


@pytest.mark.parametrize("name", CASES)
def test_estimators_are_saved_and_loaded(spark, builder, name, tmp_path):
    first = estimator(name, builder)
    first.save(str(tmp_path / "e"))
    again = PUBLIC[name].load(str(tmp_path / "e"), trusted=["net.py:small"])
    assert type(again) is PUBLIC[name] and again.uid == first.uid
    plain = {n: v for n, v in _values(first).items() if n not in (*first._object_params, "builder")}
    assert {n: v for n, v in _values(again).items() if n in plain} == plain
    assert set(_values(again)) == set(_values(first))


@pytest.mark.parametrize("name", FITTED)
def test_models_are_saved_and_loaded(spark, fitted, rows, name, tmp_path):
    model = fitted(name)
    model.save(str(tmp_path / "m"))
    again = sd.load_model(str(tmp_path / "m"))
    assert type(again) is type(model) and again.uid == model.uid
    assert _values(again) == _values(model)
    assert _column(again, name, rows) == _column(model, name, rows)


@pytest.mark.parametrize("name", CASES)
def test_pipelines_are_saved_and_loaded(spark, pipelines, rows, name, tmp_path):
    from pyspark.ml import PipelineModel

    pipelines(name).save(str(tmp_path / "p"))
    again = PipelineModel.load(str(tmp_path / "p"))
    assert _column(again, name, rows) == _column(pipelines(name), name, rows)


@pytest.mark.parametrize("name", OFTEN)
def test_a_grid_is_fitted(spark, rows, name):
    """By threads of a `CrossValidator` where predictions are scored; else by `fitMultiple`."""
    from pyspark.ml.tuning import CrossValidator, ParamGridBuilder

    case, first = CASES[name], estimator(name)
    param, values = case.grid
    grid = ParamGridBuilder().addGrid(first.getParam(param), values).build()
    if not case.scored_by:
        models = dict(first.fitMultiple(rows[case.rows], grid))
        assert sorted(models) == [0, 1]
    else:
        found = CrossValidator(
            estimator=first,
            estimatorParamMaps=grid,
            evaluator=_evaluators(case.scored_by)[0],
            numFolds=2,
            parallelism=2,
            seed=1,
        ).fit(rows[case.rows])
        assert len(found.avgMetrics) == 2
        models = {0: found.bestModel}
    assert all(isinstance(model, PUBLIC[case.model]) for model in models.values())


def _evaluators(kind):
    """Evaluators of PySpark that a prediction is for; each again with weights."""
    from pyspark.ml import evaluation as e

    if kind == "classes":
        return [
            *(
                e.MulticlassClassificationEvaluator(metricName=m, **w)
                for m in ("accuracy", "f1", "logLoss")
                for w in ({}, {"weightCol": "w"})
            ),
            *(
                e.BinaryClassificationEvaluator(metricName=m, **w)
                for m in ("areaUnderROC", "areaUnderPR")
                for w in ({}, {"weightCol": "w"})
            ),
        ]
    if kind == "numbers":
        return [
            e.RegressionEvaluator(labelCol="number", metricName=m, **w)
            for m in ("rmse", "r2", "mae")
            for w in ({}, {"weightCol": "w"})
        ]
    if kind == "clusters":
        return [e.ClusteringEvaluator(featuresCol="point", **w) for w in ({}, {"weightCol": "w"})]
    return [
        e.BinaryClassificationEvaluator(rawPredictionCol="outlierScore", **w)
        for w in ({}, {"weightCol": "w"})
    ]


@pytest.mark.parametrize(
    "name", [name for name in FITTED if name in VOTED or CASES[name].scored_by]
)
def test_evaluators_of_pyspark_take_the_predictions(spark, fitted, rows, name):
    kind = CASES[VOTED[name][0] if name in VOTED else name].scored_by
    predicted = fitted(name).transform(rows["table"]).cache()
    scores = [evaluator.evaluate(predicted) for evaluator in _evaluators(kind)]
    assert all(score == score for score in scores)
    predicted.unpersist()


@pytest.mark.parametrize("wrong", ["wrong_value", "wrong_column"])
@pytest.mark.parametrize("name", CASES)
def test_a_refused_fit_leaves_nothing_behind(spark, rows, builder, name, wrong, tmp_path):
    case, first = CASES[name], estimator(name, builder)
    param, value = getattr(case, wrong)
    refused = first.copy({first.getParam(param): value})
    if refused.hasParam("modelDir"):
        refused.setParams(modelDir=str(tmp_path / "m"))
    before = _temporary()
    with pytest.raises(SparkMLDistError) as caught:
        refused.fit(rows[case.rows])
    shown = value[-1] if isinstance(value, list) else value
    assert param in caught.value.message or repr(shown) in caught.value.message
    assert caught.value.code and caught.value.hint
    assert not (tmp_path / "m").exists()
    assert _temporary() == before


def _temporary():
    return sorted(p.name for p in Path(tempfile.gettempdir()).glob("sparkml_dist-*"))


# -- and in every mode --------------------------------------------------------------------


def _in_every_mode(spark, rows, name, builder, folder):
    from pyspark.ml import Pipeline, PipelineModel

    frame = rows[CASES[name].rows]
    pipeline = Pipeline(stages=[estimator(name, builder)]).fit(frame)
    pipeline.save(str(folder / "p"))
    assert issubclass(PUBLIC[CASES[name].model], Model)
    assert _column(PipelineModel.load(str(folder / "p")), name, rows) == _column(
        pipeline, name, rows
    )


@pytest.mark.modes
def test_an_ensemble_in_every_mode(spark, rows, builder, tmp_path):
    _in_every_mode(spark, rows, "BaggingClassifier", builder, tmp_path)


@pytest.mark.modes
def test_clusters_in_every_mode(spark, rows, builder, tmp_path):
    _in_every_mode(spark, rows, "KMedoids", builder, tmp_path)


@pytest.mark.modes
def test_outliers_in_every_mode(spark, rows, builder, tmp_path):
    _in_every_mode(spark, rows, "IsolationForest", builder, tmp_path)


@pytest.mark.modes
def test_patterns_in_every_mode(spark, rows, builder, tmp_path):
    _in_every_mode(spark, rows, "AssociationRules", builder, tmp_path)


@pytest.mark.modes
def test_a_network_in_every_mode(spark, rows, builder, tmp_path):
    _in_every_mode(spark, rows, "KerasClassifier", builder, tmp_path)
