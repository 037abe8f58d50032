"""What every public estimator and model keeps: the contract of PySpark ML, and this library's."""

from __future__ import annotations

import inspect
import math
import tempfile
from xml.etree import ElementTree

import numpy as np
import pytest
from pyspark.ml.base import Estimator
from pyspark.ml.param import TypeConverters

import sparkml_dist as sd
from sparkml_dist.errors import ConfigurationError, SparkMLDistError
from sparkml_dist.graphical.structure_params import pairs
from sparkml_dist.params import share_or_count
from tests.contract import BUILDER, CASES, PUBLIC, VOTED, estimator, frames
from tests.long import cases

SET_UP = [name for name, kind in PUBLIC.items() if issubclass(kind, Estimator)]
FITTED = [*CASES, *VOTED]
#: Of the estimators over silos, whose refusals take jobs, `make test` tries one.
SILOS = [n for n, c in CASES.items() if c.group == "federated" and n != "FederatedNaiveBayes"]
#: One of each way to keep what was learnt, score rows and be evaluated, so that `make test` fits
#: these alone: samples of all models are read and asked in `tests/persistence/test_samples.py`.
SHORT = (
    *("AdaBoostClassifier", "BaggingClassifier", "BaggingRegressor", "CalibratedClassifier"),
    *("GradientBoostingRegressor", "HyperparameterSearch", "StackingClassifier"),
    *("AutoClassifier", "TableFeatures", "KerasClassifier", "XGBoostClassifier"),
    *("DBSCAN", "IsolationForest", "KMeans", "KMedoids", "FrequentItemsets", "SequentialPatterns"),
    *("GaussianProcess", "KernelKMeans", "KernelRidge", "NystroemFeatures", "OneClassMachine"),
    *("BayesianNetwork", "BayesianNetworkClassifier", "FederatedNaiveBayes", "LinearRegression"),
    *("FittedQIteration", "LinUCB", "QLearning"),
    *VOTED,
)
ONCE = [name for name, case in CASES.items() if case.group in ("networks", "boosting")]
ONCE.append("DeepQLearning")
#: One of each group, whose pipelines have tests of their own, most of them in every mode.
EVERYWHERE = (
    "BaggingClassifier",
    "KMedoids",
    "IsolationForest",
    "SequentialPatterns",
    "KerasClassifier",
    "XGBoostClassifier",
    "TableFeatures",
    "NystroemFeatures",
)
OFTEN = [name for name in CASES if name not in ONCE]
# A value of each type, for Params that have none.
VALUES = {
    TypeConverters.toInt: 3,
    TypeConverters.toFloat: 0.25,
    TypeConverters.toString: "64m",
    TypeConverters.toBoolean: True,
    share_or_count: 0.5,
    TypeConverters.toListInt: [3],
    TypeConverters.toListFloat: [0.5],
    TypeConverters.toListString: ["a"],
    TypeConverters.toList: ["a", "b"],
    pairs: [["a", "b"]],
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


@pytest.fixture(scope="module")
def predicted(fitted, rows):
    """What models make of rows: once, since the workers of a network take seconds to start."""
    made = {}

    def of(name):
        if name not in made:
            made[name] = fitted(name).transform(_rows_of(name, rows)).cache()
        return made[name]

    return of


def _capital(name):
    return name[0].upper() + name[1:]


def _values(instance):
    return {p.name: v for p, v in instance.extractParamMap().items()}


def _rows_of(name, rows):
    case = CASES[VOTED[name][0] if name in VOTED else name]
    return rows["baskets" if case.rows == "itemsets" else case.rows]


def _output(name, frame):
    """The column that models are compared by."""
    case = CASES[VOTED[name][0] if name in VOTED else name]
    values = [row[0] for row in frame.select(case.output).collect()]
    # Sums of Spark's are in no order.
    return [round(v, 12) if isinstance(v, float) else v for v in values]


# -- what needs no session ----------------------------------------------------------------


def test_every_public_class_has_a_case():
    models = {case.model for case in CASES.values()}
    assert {*CASES, *models, *VOTED, "GridValue"} == set(PUBLIC)
    assert set(SET_UP) == set(CASES)


@pytest.mark.parametrize("name", SET_UP)
def test_estimators_show_themselves(name):
    case = CASES[name]
    given = {k: v for k, v in case.settings.items() if not isinstance(v, Estimator)}
    text = PUBLIC[name](**given)._repr_html_()
    assert all(f">{param}</th>" in text for param in inspect.signature(PUBLIC[name]).parameters)
    ElementTree.fromstring(text)


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
        else:
            assert get() is None
        value = VALUES.get(declared.typeConverter, "value")
        before = instance.extractParamMap()
        copied = instance.copy({declared: value})
        assert copied.uid == instance.uid
        assert copied.getOrDefault(declared) == value
        assert instance.extractParamMap() == before
        assert set_(value) is instance
        assert get() == value
        if isinstance(value, int | float):
            with pytest.raises(SparkMLDistError) as caught:
                set_("three")
            assert name in caught.value.message and caught.value.hint


@pytest.mark.parametrize("name", SET_UP)
def test_estimators_have_getters_setters_and_copies(name):
    _get_and_set(estimator(name))


# -- what fits ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", cases(FITTED, SHORT))
def test_models_have_getters_setters_and_copies(spark, fitted, name):
    model = fitted(name)
    assert type(model).__name__ == (name if name in VOTED else CASES[name].model)
    _get_and_set(model.copy())


@pytest.mark.parametrize("name", cases(FITTED, ["BaggingClassifier", "FrequentItemsets", "KMeans"]))
def test_models_show_themselves(spark, fitted, name):
    model = fitted(name)
    text = model._repr_html_()
    ElementTree.fromstring(text)
    assert type(model).__name__ in text and text.count("<tr") > 2
    if not hasattr(model, "plot"):
        return
    try:
        figure = model.plot()
    except ConfigurationError as error:
        assert error.code == "not_kept"
    else:
        assert figure._repr_png_().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", CASES)
def test_estimators_are_saved_and_loaded(spark, builder, name, tmp_path):
    first = estimator(name, builder)
    first.save(str(tmp_path / "e"))
    again = PUBLIC[name].load(str(tmp_path / "e"), trusted=["net.py:small"])
    assert type(again) is PUBLIC[name] and again.uid == first.uid
    plain = {n: v for n, v in _values(first).items() if n not in (*first._object_params, "builder")}
    assert {n: v for n, v in _values(again).items() if n in plain} == plain
    assert set(_values(again)) == set(_values(first))


@pytest.mark.parametrize("name", cases(FITTED, SHORT))
def test_models_are_saved_and_loaded(spark, fitted, predicted, rows, name, tmp_path):
    model = fitted(name)
    model.save(str(tmp_path / "m"))
    again = sd.load_model(str(tmp_path / "m"))
    assert type(again) is type(model) and again.uid == model.uid
    assert _values(again) == _values(model)
    if name not in ONCE:  # networks predict in a pipeline, below
        found = again.transform(_rows_of(name, rows))
        assert _output(name, found) == _output(name, predicted(name))


def _saved_in_a_pipeline(pipelines, predicted, rows, name, path):
    from pyspark.ml import PipelineModel

    pipelines(name).save(path)
    found = PipelineModel.load(path).transform(_rows_of(name, rows))
    assert _output(name, found) == _output(name, predicted(name))


# Of one of each group below; all are saved by themselves, above.
@pytest.mark.long
@pytest.mark.parametrize("name", cases([n for n in CASES if n not in EVERYWHERE], SHORT))
def test_pipelines_are_saved_and_loaded(spark, pipelines, predicted, rows, name, tmp_path):
    _saved_in_a_pipeline(pipelines, predicted, rows, name, str(tmp_path / "p"))


@pytest.mark.modes
def test_a_pipeline_with_an_ensemble(spark, pipelines, predicted, rows, tmp_path):
    _saved_in_a_pipeline(pipelines, predicted, rows, "BaggingClassifier", str(tmp_path / "p"))


@pytest.mark.modes("connect")
def test_a_pipeline_with_clusters(spark, pipelines, predicted, rows, tmp_path):
    _saved_in_a_pipeline(pipelines, predicted, rows, "KMedoids", str(tmp_path / "p"))


@pytest.mark.modes("connect")
def test_a_pipeline_with_outliers(spark, pipelines, predicted, rows, tmp_path):
    _saved_in_a_pipeline(pipelines, predicted, rows, "IsolationForest", str(tmp_path / "p"))


@pytest.mark.modes("connect")
def test_a_pipeline_with_patterns(spark, pipelines, predicted, rows, tmp_path):
    _saved_in_a_pipeline(pipelines, predicted, rows, "SequentialPatterns", str(tmp_path / "p"))


def test_a_pipeline_with_a_network(spark, pipelines, predicted, rows, tmp_path):
    _saved_in_a_pipeline(pipelines, predicted, rows, "KerasClassifier", str(tmp_path / "p"))


def test_a_pipeline_with_a_booster(spark, pipelines, predicted, rows, tmp_path):
    _saved_in_a_pipeline(pipelines, predicted, rows, "XGBoostClassifier", str(tmp_path / "p"))


def test_a_pipeline_with_features_of_a_table(spark, pipelines, predicted, rows, tmp_path):
    _saved_in_a_pipeline(pipelines, predicted, rows, "TableFeatures", str(tmp_path / "p"))


@pytest.mark.modes("connect")
def test_a_pipeline_with_kernel_features(spark, pipelines, predicted, rows, tmp_path):
    _saved_in_a_pipeline(pipelines, predicted, rows, "NystroemFeatures", str(tmp_path / "p"))


# Of ensembles: `test_spark_ml.py` and `test_grids.py` in `tests/ensemble`, and the long run.
@pytest.mark.parametrize("name", cases(OFTEN, ["KMedoids", "SequentialPatterns"]))
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
    """Evaluators of PySpark that a prediction is for; the first goes by weights."""
    from pyspark.ml import evaluation as e

    weighted = {"weightCol": "w"}
    if kind == "classes":
        several = [e.MulticlassClassificationEvaluator(metricName="logLoss", **weighted)]
        return [*several, e.BinaryClassificationEvaluator(**weighted)]
    if kind == "numbers":
        return [e.RegressionEvaluator(labelCol="number", **weighted)]
    if kind == "clusters":
        return [e.ClusteringEvaluator(featuresCol="point", **weighted)]
    return [e.BinaryClassificationEvaluator(rawPredictionCol="outlierScore", **weighted)]


@pytest.mark.parametrize(
    "name", cases([n for n in FITTED if n in VOTED or CASES[n].scored_by], SHORT)
)
def test_evaluators_of_pyspark_take_the_predictions(spark, predicted, name):
    kind = CASES[VOTED[name][0] if name in VOTED else name].scored_by
    scores = [evaluator.evaluate(predicted(name)) for evaluator in _evaluators(kind)]
    assert all(math.isfinite(score) for score in scores)


def test_every_metric_of_pyspark_is_scikit_learns(spark, predicted):
    """Of predictions, with weights and without; of the metrics that both have."""
    from pyspark.ml import evaluation as e
    from sklearn import metrics as m

    names = ["label", "w", "prediction", "probability"]
    found = predicted("BaggingClassifier").select(*names).toPandas()
    y, p = found["label"], found["prediction"]
    share = np.array([row[1] for row in found["probability"]])
    raw = share.astype(np.float32)  # as rawPrediction has it: nearly equal is equal
    numbers = predicted("BaggingRegressor").select("number", "w", "prediction").toPandas()
    for given, w, v in (({}, None, None), ({"weightCol": "w"}, found["w"], numbers["w"])):
        expected = {
            "accuracy": m.accuracy_score(y, p, sample_weight=w),
            "f1": m.f1_score(y, p, average="weighted", sample_weight=w),
            "logLoss": m.log_loss(y, share, sample_weight=w),
        }
        for name, value in expected.items():
            evaluator = e.MulticlassClassificationEvaluator(metricName=name, **given)
            assert evaluator.evaluate(predicted("BaggingClassifier")) == pytest.approx(value)
        area = e.BinaryClassificationEvaluator(**given).evaluate(predicted("BaggingClassifier"))
        assert area == pytest.approx(m.roc_auc_score(y, raw, sample_weight=w))
        expected = {"mae": m.mean_absolute_error, "mse": m.mean_squared_error}
        if w is None:  # Spark takes weights for repetitions in one half of r2 only
            expected["r2"] = m.r2_score
        for name, score in expected.items():
            evaluator = e.RegressionEvaluator(labelCol="number", metricName=name, **given)
            value = score(numbers["number"], numbers["prediction"], sample_weight=v)
            assert evaluator.evaluate(predicted("BaggingRegressor")) == pytest.approx(value)


@pytest.mark.parametrize("wrong", ["wrong_value", "wrong_column"])
@pytest.mark.parametrize("name", cases(CASES, [n for n in CASES if n not in SILOS]))
def test_a_refused_fit_leaves_nothing_behind(
    spark, rows, builder, name, wrong, tmp_path, monkeypatch
):
    case, first = CASES[name], estimator(name, builder)
    param, value = getattr(case, wrong)
    refused = first.copy({first.getParam(param): value})
    if refused.hasParam("modelDir"):
        refused.setParams(modelDir=str(tmp_path / "m"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SparkMLDistError) as caught:
        refused.fit(rows[case.rows])
    shown = value[-1] if isinstance(value, list) else value
    assert param in caught.value.message or repr(shown) in caught.value.message
    assert caught.value.code and caught.value.hint
    assert not list(tmp_path.iterdir())
