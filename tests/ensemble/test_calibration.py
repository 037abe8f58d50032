"""Calibration against scikit-learn's, fitted in RAM on the same scores."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar
from sklearn.calibration import _SigmoidCalibration
from sklearn.datasets import make_classification
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist import BaggingClassifier, load_model, partition, split
from sparkml_dist.ensemble.calibration.calibration import CalibratedClassifier
from sparkml_dist.ensemble.calibration.calibrators import Calibration, Sigmoid, Temperature
from sparkml_dist.errors import ConfigurationError, DataError, StorageError
from sparkml_dist.metrics.reliability import reliability


def overconfident(classes, n=6000):
    """Redundant features make a naive Bayes classifier far too sure of itself."""
    X, y = make_classification(
        n,
        12,
        n_informative=4,
        n_redundant=8,
        n_classes=classes,
        class_sep=0.7,
        flip_y=0.05,
        random_state=classes,
    )
    frame = pd.DataFrame(X.astype(np.float32), columns=[f"x{i}" for i in range(12)])
    frame["label"] = np.array([f"c{i}" for i in range(classes)])[y]
    frame["weight"] = np.random.default_rng(0).integers(0, 4, n).astype(float)
    return frame


class Case:
    """A fitted model, rows to calibrate on, and other rows to judge it by, with its scores."""

    def __init__(self, spark, classes):
        frame = overconfident(classes)
        self.parts = [frame.iloc[:2000], frame.iloc[2000:4000], frame.iloc[4000:]]
        self.train, self.held, self.test = (
            spark.createDataFrame(p).coalesce(2).persist() for p in self.parts
        )
        settings = {"numMembers": 2, "numShards": 2, "featuresCols": ["x*"]}
        self.bagging = BaggingClassifier(estimator=GaussianNB(), **settings)
        self.model = self.bagging.fit(self.train)
        self.local = self.model.to_sklearn()
        self.scores = [self.local.predict_proba(p.filter(like="x")) for p in self.parts]
        self.codes = [np.searchsorted(self.model.classes, p.label) for p in self.parts]

        self._calibrated = {}

    def calibrated(self, method="sigmoid", weightCol=None):
        """Return the model calibrated on its rows; fitted once for all tests that ask for it."""
        if (method, weightCol) not in self._calibrated:
            one = CalibratedClassifier(model=self.model, method=method, weightCol=weightCol)
            self._calibrated[method, weightCol] = one.fit(self.held)
        return self._calibrated[method, weightCol]

    def losses(self, model):
        before = log_loss(self.parts[2].label, self.scores[2])
        proba = model.to_sklearn().predict_proba(self.parts[2].filter(like="x"))
        assert np.allclose(proba.sum(axis=1), 1)
        return before, log_loss(self.parts[2].label, proba), proba


@pytest.fixture(scope="module")
def binary(spark):
    return Case(spark, 2)


@pytest.fixture(scope="module")
def thirds(spark):
    return Case(spark, 3)


@pytest.fixture(params=["binary", "thirds"])
def case(request, spark):
    return request.getfixturevalue(request.param)


@pytest.mark.parametrize("weight", [None, "weight"])
def test_sigmoids_have_scikit_learns_parameters(case, weight):
    model = case.calibrated(method="sigmoid", weightCol=weight)
    weights = None if weight is None else case.parts[1][weight].to_numpy()
    judged = [1] if len(model.classes) == 2 else range(3)
    assert len(model.calibration.curves) == len(judged)
    for curve, k in zip(model.calibration.curves, judged):
        plain = _SigmoidCalibration().fit(case.scores[1][:, k], case.codes[1] == k, weights)
        assert curve.a == pytest.approx(plain.a_, abs=1e-3)
        assert curve.b == pytest.approx(plain.b_, abs=1e-3)
    before, after, _ = case.losses(model)
    assert after < before - 0.05


def test_isotonic_curves_are_scikit_learns(case):
    model = case.calibrated(method="isotonic")
    judged = [1] if len(model.classes) == 2 else range(3)
    expected = np.zeros_like(case.scores[2])
    for curve, k in zip(model.calibration.curves, judged):
        plain = IsotonicRegression(out_of_bounds="clip")
        plain.fit(case.scores[1][:, k], case.codes[1] == k)
        expected[:, k] = plain.predict(case.scores[2][:, k])
        assert np.abs(curve(case.scores[2][:, k]) - expected[:, k]).max() < 5e-3
        assert np.all(np.diff(curve.y) >= 0)
        assert 0 < curve.y[0] <= curve.y[-1] < 1
    if len(judged) == 1:
        expected[:, 0] = 1 - expected[:, 1]
    before, after, proba = case.losses(model)
    assert np.abs(proba - expected / expected.sum(axis=1, keepdims=True)).max() < 1e-2
    assert after < before - 0.05


def test_the_temperature_is_the_best_one(case):
    model = case.calibrated(method="temperature")
    (curve,) = model.calibration.curves

    def loss(log_beta):
        return log_loss(case.codes[1], Temperature(np.exp(log_beta))(case.scores[1]))

    best = minimize_scalar(loss, bounds=(-5, 5), method="bounded", options={"xatol": 1e-9})
    assert curve.beta == pytest.approx(np.exp(best.x), rel=1e-4)
    assert 0 < curve.beta < 1  # too sure before
    before, after, proba = case.losses(model)
    assert after < before - 0.05
    assert np.array_equal(proba.argmax(axis=1), case.scores[2].argmax(axis=1))


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_scikit_learn_calibrates_the_handed_over_model_in_the_same_way(case, method):
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    held, test = (p.filter(like="x") for p in case.parts[1:])
    plain = CalibratedClassifierCV(FrozenEstimator(case.local), method=method)
    expected = plain.fit(held, case.parts[1].label.to_numpy()).predict_proba(test)
    _, _, proba = case.losses(case.calibrated(method=method))
    assert np.abs(proba - expected).max() < 1e-2
    assert np.abs(proba - expected).mean() < 1e-3


def test_the_curves_do_not_depend_on_the_partitioning(binary):
    for method in ("sigmoid", "isotonic", "temperature"):
        calibrate = CalibratedClassifier(model=binary.model, method=method)
        many = calibrate.fit(binary.held.repartition(7))
        assert binary.calibrated(method).calibration == many.calibration


def test_weights_are_repetitions(binary):
    repeated = binary.held.selectExpr("*", "explode(sequence(1, int(weight))) AS copy").where(
        "weight > 0"
    )
    weighted = binary.calibrated(weightCol="weight")
    plain = CalibratedClassifier(model=binary.model).fit(repeated)
    assert weighted.calibration == plain.calibration


def test_saved_loaded_and_damaged(binary, tmp_path):
    from pyspark.ml import PipelineModel

    model = binary.calibrated(method="isotonic").copy().setParams(probabilityCol="p")
    shown = model.transform(binary.test).select("p").collect()
    path = tmp_path / "m"
    model.save(str(path))
    assert not [p for p in path.rglob("*") if p.suffix in (".pkl", ".pickle", ".joblib")]
    again = load_model(str(path))
    assert type(again) is type(model)
    assert again.calibration == model.calibration
    assert again.transform(binary.test).select("p").collect() == shown
    assert again.base.transform(binary.test).select("probability").first() is not None
    PipelineModel(stages=[model]).save(str(tmp_path / "pipeline"))
    stages = PipelineModel.load(str(tmp_path / "pipeline")).stages
    assert stages[0].calibration == model.calibration
    manifest = json.loads((path / "manifest.json").read_text())
    names = {f["name"] for f in manifest["files"]}
    assert {"base/manifest.json", "base/members/member-00000.skops"} <= names
    member = path / "base" / "members" / "member-00001.skops"
    member.write_bytes(member.read_bytes()[:-1] + b"x")
    with pytest.raises(StorageError) as error:
        load_model(str(path))
    assert error.value.code == "file_altered"


@pytest.mark.long
def test_of_a_calibrated_model_too(binary):
    once = binary.calibrated(method="temperature")
    twice = CalibratedClassifier(model=once, method="sigmoid").fit(binary.held)
    before, after, _ = binary.losses(twice)
    assert after < before
    assert "sigmoid over CalibratedClassificationModel" in repr(twice)


@pytest.mark.modes("connect")
def test_an_estimator_is_fitted_on_the_other_rows(spark, tmp_path):
    frame = overconfident(2, n=1500)
    df = spark.createDataFrame(frame)
    # The trap: rows that a caller splits off by the same seed, before.
    train, _ = split(df, 0.3, seed=5)
    bagging = BaggingClassifier(
        estimator=DecisionTreeClassifier(), numMembers=2, numShards=2, featuresCols=["x*"], seed=5
    )
    settings = {"estimator": bagging, "seed": 5, "modelDir": str(tmp_path / "m")}
    model = CalibratedClassifier(**settings).fit(train)
    rows, held = train.count(), model.summary["calibration"]["rows"]
    assert held == pytest.approx(0.2 * rows, abs=5 * np.sqrt(0.16 * rows))
    seen = sum(m["rows"] for m in model.base.summary["members"])
    assert seen + held == rows
    # A tree remembers its rows: were these among them, it would be right about all.
    assert model.summary["calibration"]["log_loss"] > 1
    assert not bagging.isSet(bagging.modelDir)
    # A second fit that resumes keeps the members and comes to the same curves.
    again = CalibratedClassifier(**settings, resume=True).fit(train)
    assert again.base.summary["fitted_now"] == 0
    assert again.content == model.content
    assert {f.name: f.sha256 for f in again.files if "members" in f.name} == {
        f.name: f.sha256 for f in model.files if "members" in f.name
    }
    with pytest.raises(StorageError, match="output_exists"):
        CalibratedClassifier(**settings).fit(train)
    proba = model.transform(df).select("probability").first()[0]
    assert proba.sum() == pytest.approx(1)


@pytest.mark.long
def test_rows_of_one_group_stay_together(spark):
    frame = overconfident(2, n=600).assign(group=np.arange(600) // 30)
    bagging = BaggingClassifier(
        estimator=GaussianNB(), numMembers=1, numShards=1, featuresCols=["x*"], keyCol="group"
    )
    calibrate = CalibratedClassifier(estimator=bagging, validationFraction=0.3)
    model = calibrate.fit(spark.createDataFrame(frame))
    assert model.summary["calibration"]["rows"] % 30 == 0


@pytest.mark.long
def test_the_estimator_is_saved_and_loaded(binary, tmp_path):
    one = CalibratedClassifier(estimator=binary.bagging, method="isotonic", seed=3)
    one.save(str(tmp_path / "e"))
    again = CalibratedClassifier.load(str(tmp_path / "e"))
    assert again.getMethod() == "isotonic"
    assert again.getEstimator().getNumMembers() == 2
    assert isinstance(again.getEstimator().getEstimator(), GaussianNB)
    CalibratedClassifier(model=binary.model).save(str(tmp_path / "p"))
    prefit = CalibratedClassifier.load(str(tmp_path / "p"))
    assert prefit.fit(binary.held).calibration == binary.calibrated().calibration
    assert prefit.copy({prefit.method: "isotonic"}).getMethod() == "isotonic"


def test_bad_settings_and_data(binary, tmp_path):
    def code(error_kind, data=binary.held, **settings):
        with pytest.raises(error_kind) as error:
            CalibratedClassifier(**settings).fit(data)
        return error.value.code

    model = binary.model
    assert code(ConfigurationError) == "conflicting_params"
    assert code(ConfigurationError, model=model, estimator=binary.bagging) == "conflicting_params"
    assert code(ConfigurationError, model=binary.bagging) == "not_a_classifier"
    assert code(ConfigurationError, estimator=model) == "not_a_classifier"
    assert code(ConfigurationError, model=model, method="beta") == "invalid_param"
    bad = {"estimator": binary.bagging, "validationFraction": 1.0}
    assert code(ConfigurationError, **bad) == "invalid_param"
    assert code(DataError, data=binary.held.drop("label"), model=model) == "column_not_found"
    assert code(DataError, data=binary.held.drop("x3"), model=model) == "column_not_found"
    assert code(DataError, model=model, weightCol="wait") == "column_not_found"
    strangers = binary.held.selectExpr("* EXCEPT (label)", "'other' AS label")
    assert code(DataError, data=strangers, model=model) == "unknown_label"
    inside = {"model": model, "modelDir": model.folder.location, "overwrite": True}
    assert code(StorageError, **inside) == "output_is_input"
    data = partition(binary.train, tmp_path / "d", label="label", features=["x*"], shards=1)
    assert code(ConfigurationError, data=data, model=model) == "dataframe_needed"


def test_a_class_that_never_comes_up_is_given_little(case):
    rows = case.held.where("label <> 'c1'")
    for method in ("sigmoid", "isotonic"):
        model = CalibratedClassifier(model=case.model, method=method).fit(rows)
        curve = model.calibration.curves[len(case.model.classes) - 2]
        assert 0 < curve(case.scores[2][:, 1]).max() < 0.01


def test_a_perfect_score_has_a_finite_curve():
    from sparkml_dist.ensemble.calibration.calibrators import ScoreHistogram

    ones = np.ones(2)
    found = ScoreHistogram(np.array([0.0, 1.0]), np.array([0.0, 50.0]), 50 * ones, 100.0)
    curve = Sigmoid.fit(found)
    assert curve(np.array([0.0, 1.0])) == pytest.approx([1 / 52, 51 / 52], rel=1e-6)
    same = ScoreHistogram(np.array([0.3]), np.array([20.0]), np.array([50.0]), 50.0)
    assert Sigmoid.fit(same)(np.array([0.3]))[0] == pytest.approx(0.4, abs=0.01)
    text = json.loads(json.dumps(Calibration("sigmoid", (curve,)).to_dict()))
    assert Calibration.from_dict(text) == Calibration("sigmoid", (curve,))


def by_hand(judged, hit, bins):
    place = np.minimum((judged * bins).astype(int), bins - 1)
    rows = np.bincount(place, minlength=bins)
    gap = np.bincount(place, judged, bins) - np.bincount(place, hit, bins)
    return rows, np.abs(gap).sum() / len(judged)


def test_reliability_by_hand(case):
    predictions = case.model.transform(case.test).cache()
    labels, codes = case.model.classes, case.codes[2]
    X = case.parts[2].filter(like="x").to_numpy(np.float32)
    proba = case.model._scorer().load()(X).astype(np.float32).astype(float)
    found = reliability(predictions, label_col="label", classes=labels)
    if len(labels) == 2:
        judged, hit, brier = proba[:, 1], codes == 1, brier_score_loss(codes, proba[:, 1])
        assert found.of == "c1"
    else:
        judged, hit = proba.max(axis=1), proba.argmax(axis=1) == codes
        brier = ((proba - np.eye(3)[codes]) ** 2).sum(axis=1).mean()
        assert found.of is None
    rows, ece = by_hand(judged, hit, 15)
    assert found.rows.tolist() == rows.tolist()
    assert found.ece == pytest.approx(ece, abs=1e-9)
    assert found.brier == pytest.approx(brier, abs=1e-6)
    assert json.dumps(found.to_dict())
    one = reliability(predictions, label_col="label", classes=labels, of="c0", bins=7)
    rows, ece = by_hand(proba[:, 0], codes == 0, 7)
    assert one.rows.tolist() == rows.tolist()
    assert one.ece == pytest.approx(ece, abs=1e-9)
    after = reliability(
        case.calibrated(method="isotonic").transform(case.test), label_col="label", classes=labels
    )
    assert after.ece < found.ece / 2
    assert after.brier < found.brier


def test_reliability_refuses_what_it_cannot_judge(binary, spark):
    predictions = binary.model.transform(binary.test.limit(20))
    settings = {"label_col": "label", "classes": ["c0", "c1"]}
    with pytest.raises(ConfigurationError, match="invalid_param"):
        reliability(predictions, **settings, bins=0)
    with pytest.raises(ConfigurationError, match="unknown_class"):
        reliability(predictions, **settings, of="c2")
    with pytest.raises(DataError, match="column_not_found"):
        reliability(predictions, **settings, probability_col="probabilities")
    with pytest.raises(DataError, match="unknown_label"):
        reliability(predictions, label_col="label", classes=["a", "b"])
    bad = spark.createDataFrame([(0, [float("nan"), 0.5])], "label int, probability array<double>")
    with pytest.raises(DataError, match="prediction_not_finite"):
        reliability(bad, label_col="label", classes=[0, 1])
