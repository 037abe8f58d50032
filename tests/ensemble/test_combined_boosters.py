"""XGBoost and LightGBM in stacking, blending and calibration, against the libraries in RAM."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss

from sparkml_dist import (
    BaggingClassifier,
    BlendingClassifier,
    CalibratedClassifier,
    StackingClassifier,
    StackingRegressor,
    load_model,
    partition,
)
from sparkml_dist.dataset.subsets import Fold, Validation
from sparkml_dist.learners.booster_learner import BoosterLearner
from sparkml_dist.learners.learner import prepare
from tests.ensemble.test_boosters import frame, probabilities

xgboost = pytest.importorskip("xgboost")
lightgbm = pytest.importorskip("lightgbm")

pytestmark = pytest.mark.long

FEATURES = ["a", "b", "site"]
FEW = {"n_estimators": 5, "max_depth": 3}
SMALL = {**FEW, "min_child_samples": 5, "min_data_per_group": 5, "verbose": -1}
CLASSIFIERS = [("xgb", xgboost.XGBClassifier(**FEW)), ("lgbm", lightgbm.LGBMClassifier(**SMALL))]
REGRESSORS = [("xgb", xgboost.XGBRegressor(**FEW)), ("lgbm", lightgbm.LGBMRegressor(**SMALL))]


@pytest.fixture(scope="module")
def table(spark):
    return spark.createDataFrame(frame(500)).persist()


def cut(table, folder, label="label", task="classification"):
    return partition(
        table,
        str(folder),
        features=FEATURES,
        label=label,
        weight="weight",
        categorical=["site"],
        key="id",
        shards=1,
        task=task,
    )


@pytest.fixture(scope="module")
def data(table, tmp_path_factory):
    return cut(table, tmp_path_factory.mktemp("d") / "d")


def fitted(data, learner, block, rows):
    """The library alone on some rows of a block, with categories as it has them."""
    counts = data.schema.category_counts()
    plain = prepare(learner, 0, 1, categories=counts)
    plain = BoosterLearner(plain, [i for i, n in enumerate(counts) if n])
    return plain.fit(block.X[rows], block.y[rows], sample_weight=block.weight[rows])


def level_one_of_folds(data, learners, folds, seed, method):
    """What learners predict for each fold that they have not seen, columns side by side."""
    block = data.read_block(0)
    outputs = None
    for i in range(folds):
        out = Fold(folds, i, seed).mask(block.key)
        own = [
            getattr(fitted(data, x, block, ~out), method)(block.X[out]).reshape(out.sum(), -1)
            for _, x in learners
        ]
        own = np.hstack(own)
        outputs = np.zeros((len(out), own.shape[1])) if outputs is None else outputs
        outputs[out] = own
    return outputs


def test_stacked_classifiers(data, table, tmp_path):
    place = str(tmp_path / "m")
    StackingClassifier(
        estimators=CLASSIFIERS, numFolds=3, seed=4, keepLevelOne=True, modelDir=place
    ).fit(data)
    model, block = load_model(place), data.read_block(0)
    level_one = model.levelOne.read_block(0)
    expected = level_one_of_folds(data, CLASSIFIERS, 3, 4, "predict_proba")
    assert np.allclose(level_one.X, expected, atol=1e-6)
    assert np.array_equal(level_one.weight, block.weight)
    final = LogisticRegression(max_iter=1000).fit(level_one.X, block.y, block.weight)
    rows = np.ones(len(block.y), bool)
    outputs = [fitted(data, x, block, rows).predict_proba(block.X) for _, x in CLASSIFIERS]
    wanted = final.predict_proba(np.hstack(outputs).astype(np.float32))
    assert np.allclose(model._scorer().load()(block.X), wanted, atol=1e-4)
    found = probabilities(model, table)
    local = model.to_sklearn().predict_proba(frame(500))
    assert np.allclose(local, found, atol=1e-6)


def test_stacked_regressors(table, tmp_path):
    numbers = cut(table, tmp_path / "d", "target", "regression")
    model = StackingRegressor(estimators=REGRESSORS, numFolds=3, keepLevelOne=True).fit(numbers)
    block, level_one = numbers.read_block(0), model.levelOne.read_block(0)
    expected = level_one_of_folds(numbers, REGRESSORS, 3, 0, "predict")
    assert np.allclose(level_one.X, expected, atol=1e-5)
    final = Ridge().fit(level_one.X, block.y, block.weight)
    rows = np.ones(len(block.y), bool)
    outputs = [fitted(numbers, x, block, rows).predict(block.X) for _, x in REGRESSORS]
    wanted = final.predict(np.transpose(outputs))
    assert np.allclose(model._scorer().load()(block.X), wanted, atol=1e-4)


def test_a_booster_blends_boosters(data, table):
    final = lightgbm.LGBMClassifier(**SMALL)
    model = BlendingClassifier(
        estimators=CLASSIFIERS,
        finalEstimator=final,
        validationFraction=0.4,
        keepLevelOne=True,
        seed=3,
    ).fit(data)
    block, level_one = data.read_block(0), model.levelOne.read_block(0)
    held = Validation(0.4, 3).mask(block.key)
    bases = [fitted(data, x, block, ~held) for _, x in CLASSIFIERS]
    expected = np.hstack([x.predict_proba(block.X[held]) for x in bases])
    assert np.allclose(level_one.X, expected, atol=1e-6)
    plain = BoosterLearner(prepare(final, 0, 1), [])
    plain.fit(level_one.X, level_one.y, sample_weight=level_one.weight)
    features = np.hstack([x.predict_proba(block.X) for x in bases]).astype(np.float32)
    wanted = plain.predict_proba(features)
    assert np.allclose(model._scorer().load()(block.X), wanted, atol=1e-5)
    assert probabilities(model, table).shape == (500, 3)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
@pytest.mark.parametrize("name", ["xgb", "lgbm"])
def test_calibrated_boosters(spark, data, table, tmp_path, name, method):
    strong = dict(CLASSIFIERS)[name]
    # Too sure of itself.
    strong = type(strong)(**{**strong.get_params(), "n_estimators": 150, "max_depth": 6})
    bag = BaggingClassifier(estimator=strong, numMembers=1, method="pasting").fit(data)
    fresh = frame(1_500).iloc[500:].reset_index(drop=True)
    held = spark.createDataFrame(fresh[::2])
    model = CalibratedClassifier(model=bag, method=method, modelDir=str(tmp_path / "m")).fit(held)
    assert load_model(str(tmp_path / "m")).calibration == model.calibration
    plain = CalibratedClassifierCV(FrozenEstimator(bag.to_sklearn()), method=method)
    plain.fit(fresh[::2], fresh[::2].label.to_numpy())
    rest = fresh[1::2]
    wanted, raw = plain.predict_proba(rest), bag.to_sklearn().predict_proba(rest)
    found = probabilities(model, spark.createDataFrame(rest))
    assert np.abs(found - wanted).mean() < 5e-3
    codes = np.searchsorted(bag.classes, rest.label)
    assert log_loss(codes, found) < log_loss(codes, raw)
