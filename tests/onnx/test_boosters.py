"""ONNX graphs of XGBoost, LightGBM and CatBoost against the models that they are made of."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.learners.booster_learner import BoosterLearner
from sparkml_dist.learners.learner import prepare
from sparkml_dist.learners.named_learner import NamedLearner
from sparkml_dist.onnx.check import probe_rows
from sparkml_dist.onnx.export import onnx_bytes
from tests.onnx.onnx_models import LETTERS, SCHEMA, TARGET, combiner, data, needs
from tests.onnx.test_export import compared

needs("onnx", "skl2onnx", "onnxruntime", "onnxmltools")
xgboost = pytest.importorskip("xgboost")
lightgbm = pytest.importorskip("lightgbm")
catboost = pytest.importorskip("catboost")

_FEW = {"n_estimators": 5}
CLASSIFIERS = {
    "xgboost": xgboost.XGBClassifier(**_FEW),
    "lightgbm": lightgbm.LGBMClassifier(**_FEW),
    "catboost": catboost.CatBoostClassifier(iterations=5),
    "pipeline": make_pipeline(StandardScaler(), xgboost.XGBClassifier(**_FEW)),
}
REGRESSORS = {
    "xgboost": xgboost.XGBRegressor(**_FEW),
    "lightgbm": lightgbm.LGBMRegressor(**_FEW),
    "catboost": catboost.CatBoostRegressor(iterations=5),
}


def member(booster, by_class=True):
    made = BoosterLearner(prepare(booster, 1, 1))
    return NamedLearner(made, by_class=True) if by_class else made


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize("voting", ["soft", "hard"])
def test_classifiers(name, voting, tmp_path):
    """Members on other features, without a class, and of other weight."""
    made = combiner(tmp_path, [member(CLASSIFIERS[name]) for _ in range(3)], voting)
    for X in (data()[0], probe_rows(made.bank, 6, 500)):
        found = compared(made, LETTERS, X)
        # A scaled value may be rounded to the other side of a threshold.
        most = 0.02 * found["rows"] if name == "pipeline" else 0
        assert found["different"] <= most
        assert name == "pipeline" or found["max_difference"] < 1e-5


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors(name, tmp_path):
    made = combiner(tmp_path, [member(REGRESSORS[name], False) for _ in range(2)], "mean")
    for X in (data()[0], probe_rows(made.bank, 6, 500)):
        found = compared(made, TARGET, X)
        assert found["different"] == 0 and found["max_difference"] < 1e-5


@pytest.mark.parametrize(
    ("booster", "told"),
    [
        (xgboost.XGBRFClassifier(n_estimators=3), "random forests"),
        (xgboost.XGBClassifier(n_estimators=3, booster="dart"), "dart"),
        (
            lightgbm.LGBMClassifier(
                n_estimators=3, boosting_type="rf", subsample=0.5, subsample_freq=1
            ),
            "random forests",
        ),
        (
            xgboost.XGBClassifier(
                n_estimators=3, enable_categorical=True, feature_types=["q"] * 5 + ["c"]
            ),
            "categories",
        ),
    ],
)
def test_what_the_converters_do_not_cover_is_an_error(booster, told, tmp_path, monkeypatch):
    import tests.onnx.onnx_models as models

    X, y, target = data()
    X[:, 5] = np.abs(X[:, 5] * 3).astype(int)
    monkeypatch.setattr(models, "data", lambda **_: (X, y, target))
    made = combiner(tmp_path, [member(booster)], "soft", plain=True)
    with pytest.raises(ConfigurationError, match=told) as caught:
        onnx_bytes(made, LETTERS, SCHEMA, "Model")
    assert caught.value.code == "onnx_not_supported"
