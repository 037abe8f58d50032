"""XGBoost, LightGBM and CatBoost as learners: threads, seeds, categories, held-out rows."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.learners.booster_learner import BoosterLearner
from sparkml_dist.learners.boosters import few_rounds, rank_classes
from sparkml_dist.learners.fitting import fit_learner
from sparkml_dist.learners.known_learner import KnownLearner
from sparkml_dist.learners.learner import (
    Traits,
    learner_from_path,
    modules_of,
    prepare,
    refuse_unusable,
)

xgboost = pytest.importorskip("xgboost")
lightgbm = pytest.importorskip("lightgbm")
catboost = pytest.importorskip("catboost")

_KINDS = {
    "xgboost": (xgboost.XGBClassifier, xgboost.XGBRegressor, {"n_estimators": 4}),
    "lightgbm": (lightgbm.LGBMClassifier, lightgbm.LGBMRegressor, {"n_estimators": 4}),
    "catboost": (catboost.CatBoostClassifier, catboost.CatBoostRegressor, {"iterations": 4}),
}


def rows(n=240):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4)).astype(np.float32)
    X[::7, 0] = np.nan
    X[:, 3] = rng.integers(0, 6, n)
    X[::11, 3] = np.nan
    y = (np.nan_to_num(X[:, 3]) % 3).astype(np.int64)
    return X, y


def fitted(learner, X, y, categorical=None, **given):
    return BoosterLearner(prepare(learner, 7, 1), categorical, seed=7).fit(X, y, **given)


def test_boosters_get_the_threads_of_the_task_a_seed_and_silence():
    pipe = make_pipeline(StandardScaler(), xgboost.XGBClassifier())
    params = prepare(pipe, 5, 3).get_params()
    assert params["xgbclassifier__n_jobs"] == 3
    assert params["xgbclassifier__verbosity"] == 0
    params = prepare(lightgbm.LGBMClassifier(num_threads=9), 5, 3).get_params()
    assert (params["n_jobs"], params["num_threads"], params["random_state"]) == (3, 3, 5)
    assert (params["verbose"], params["deterministic"]) == (-1, True)
    params = prepare(catboost.CatBoostClassifier(), 5, 3).get_params()
    assert params["thread_count"] == 3 and params["random_seed"] == 5
    assert params["allow_writing_files"] is False and params["verbose"] is False
    kept = prepare(catboost.CatBoostClassifier(random_state=1, silent=True), 5, 2).get_params()
    assert kept["random_state"] == 5 and "verbose" not in kept and "random_seed" not in kept


def test_lists_among_the_parameters_of_catboost_are_copied():
    own = catboost.CatBoostClassifier(cat_features=[1], class_weights={0: 1, 1: 2})
    assert prepare(own, 1, 1).get_params()["cat_features"] == [1]
    pipe = make_pipeline(StandardScaler(), own).set_output(transform="pandas")
    made = prepare(pipe, 1, 2)
    assert made[-1].get_params()["cat_features"] == [1] and made[-1] is not own
    assert made[-1].get_params()["thread_count"] == 2
    assert made[0] is not pipe[0] and made[0]._sklearn_output_config == {"transform": "pandas"}


def test_other_learners_keep_one_job():
    assert prepare(DecisionTreeClassifier(), 1, 4).get_params()["random_state"] == 1
    assert prepare(CalibratedClassifierCV(DecisionTreeClassifier()), 1, 4).n_jobs is None


@pytest.mark.parametrize("package", sorted(_KINDS))
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_equals_the_plain_library(package, task):
    X, y = rows()
    kind = _KINDS[package][task == "regression"]
    target = y if task == "classification" else X[:, 1] + y
    learner = kind(**_KINDS[package][2])
    weight = np.random.default_rng(1).uniform(1, 2, len(y))
    plain = prepare(learner, 7, 1).fit(X, target, sample_weight=weight)
    ours = fitted(learner, X, target, sample_weight=weight)
    method = "predict_proba" if task == "classification" else "predict"
    assert np.array_equal(getattr(ours, method)(X), getattr(plain, method)(X))
    assert ours.predict(X).shape == (len(X),)
    assert ours.n_features_in_ == 4
    assert len(ours.feature_importances_) == 4


def test_categories_are_those_of_the_library():
    X, y = rows()
    codes = np.where(np.isnan(X[:, 3]), -1, X[:, 3]).astype(int)
    import pandas as pd

    frame = pd.DataFrame({0: X[:, 0], 1: X[:, 1], 2: X[:, 2], 3: codes})
    plain = prepare(catboost.CatBoostClassifier(iterations=4), 7, 1)
    plain.fit(frame, y, cat_features=[3])
    ours = fitted(catboost.CatBoostClassifier(iterations=4), X, y, [3])
    assert np.array_equal(ours.predict_proba(X), plain.predict_proba(frame, thread_count=1))

    few = lightgbm.LGBMClassifier(n_estimators=4, min_data_per_group=5, cat_smooth=1)
    plain = prepare(few, 7, 1).fit(X, y, categorical_feature=[3])
    ours = fitted(few, X, y, [3])
    assert np.array_equal(ours.predict_proba(X), plain.predict_proba(X))
    assert "num_cat=1" in ours.booster.booster_.model_to_string()

    made = prepare(xgboost.XGBClassifier(n_estimators=4), 7, 1, categories=[0, 0, 0, 6])
    assert made.feature_types == ["q", "q", "q", "c"] and made.enable_categorical
    ours = BoosterLearner(made).fit(X, y)
    assert '"split_type":[1' in ours.booster.get_booster().save_raw("json").decode()
    # A learner that takes no categories gets codes.
    exact = xgboost.XGBClassifier(tree_method="exact")
    assert prepare(exact, 7, 1, categories=[0, 6]).feature_types is None


def test_sparse_and_dense_rows_are_the_same_to_xgboost():
    X, y = rows()
    X = np.where(np.abs(np.nan_to_num(X)) > 0.7, np.nan_to_num(X), 0)
    sparse = sp.csr_matrix(X)
    for given in (X, sparse):
        ours = fitted(xgboost.XGBClassifier(n_estimators=4), given, y)
        assert np.array_equal(ours.predict_proba(X), ours.predict_proba(sparse))


@pytest.mark.parametrize("package", sorted(_KINDS))
def test_early_stopping_holds_rows_out_by_their_key(package):
    X, _ = rows()
    y = np.random.default_rng(3).integers(0, 2, len(X))  # nothing to learn
    kind, _, few = _KINDS[package]
    rounds = dict.fromkeys(few, 60)
    learner = kind(**rounds, learning_rate=0.5, early_stopping_rounds=2)
    keys = np.arange(len(y)) * 17
    twice = np.repeat(np.arange(len(y)), 2)
    ours = fitted(learner, X, y, keys=keys)
    assert 5 < ours.held_out_ < 60
    doubled = fitted(learner, X[twice], y[twice], keys=keys[twice])
    assert doubled.held_out_ == 2 * ours.held_out_
    booster = ours.booster
    used = {
        "xgboost": lambda: booster.best_iteration + 1,
        "lightgbm": lambda: booster.best_iteration_,
        "catboost": lambda: booster.tree_count_,
    }[package]()
    assert used < 60
    # No row to spare: all rounds, on all rows.
    tiny = fitted(learner, X[:3], np.array([0, 1, 1]), keys=np.zeros(3, np.int64))
    assert tiny.held_out_ == 0


def test_the_last_rows_of_a_class_are_not_held_out():
    X, y = rows()
    y = np.where(np.arange(len(y)) == 5, 2, y % 2)
    for seed in range(30):
        learner = prepare(xgboost.XGBClassifier(n_estimators=2, early_stopping_rounds=1), seed, 1)
        ours = BoosterLearner(learner, seed=seed).fit(X, y)
        assert ours.booster.n_classes_ == 3


def test_early_stopping_in_a_pipeline_sees_transformed_rows():
    X, y = rows()
    X = np.nan_to_num(X) * 1000
    pipe = make_pipeline(
        StandardScaler().set_output(transform="pandas"),
        lightgbm.LGBMClassifier(n_estimators=40, early_stopping_round=2, min_child_samples=5),
    )
    traits = Traits.of(pipe)
    weight = np.ones(len(y))
    made = BoosterLearner(prepare(pipe, 1, 1), seed=1)
    found, _, _ = fit_learner(made, X, y, weight, traits, np.arange(len(y)))
    assert found.held_out_ > 0
    assert found.booster[-1].feature_name_ == ["x0", "x1", "x2", "x3"]
    assert found.predict(X).shape == (len(y),)


def test_objectives_for_several_classes_fit_a_shard_with_two():
    X, y = rows()
    several = (
        xgboost.XGBClassifier(n_estimators=2, objective="multi:softprob"),
        lightgbm.LGBMClassifier(n_estimators=2, objective="multiclass"),
        catboost.CatBoostClassifier(iterations=2, loss_function="MultiClass"),
    )
    for learner in several:
        assert fitted(learner, X, y % 2).predict_proba(X).shape == (len(y), 2)


def test_what_boosters_are_made_of_is_known():
    assert modules_of(make_pipeline(StandardScaler(), xgboost.XGBClassifier())) >= {"xgboost"}
    assert modules_of(lightgbm.LGBMClassifier()) == {"lightgbm"}
    assert modules_of(catboost.CatBoostClassifier()) == {"catboost"}
    assert rank_classes(CalibratedClassifierCV(xgboost.XGBClassifier()))
    assert not rank_classes(lightgbm.LGBMClassifier())


def test_a_trial_has_few_rounds():
    assert few_rounds(xgboost.XGBClassifier()) == {"n_estimators": 3}
    assert few_rounds(catboost.CatBoostClassifier(n_estimators=50)) == {"n_estimators": 3}
    assert few_rounds(catboost.CatBoostClassifier()) == {"iterations": 3}
    pipe = make_pipeline(lightgbm.LGBMClassifier(num_iterations=9))
    names = ("n_estimators", "num_iterations")
    assert few_rounds(pipe) == {f"lgbmclassifier__{name}": 3 for name in names}
    assert few_rounds(DecisionTreeClassifier()) == {}


@pytest.mark.parametrize(
    ("learner", "task", "code"),
    [
        (xgboost.XGBRanker(), "regression", "not_a_regressor"),
        (lightgbm.LGBMRanker(), "classification", "not_a_classifier"),
        (catboost.CatBoostRanker(), "regression", "not_a_regressor"),
        (catboost.CatBoost(), "regression", "not_an_estimator"),
        (xgboost.XGBRegressor(), "classification", "not_a_classifier"),
        (
            CalibratedClassifierCV(xgboost.XGBClassifier(early_stopping_rounds=3)),
            "classification",
            "invalid_estimator_parameter",
        ),
        (
            xgboost.XGBClassifier(callbacks=[xgboost.callback.EarlyStopping(rounds=2)]),
            "classification",
            "invalid_estimator_parameter",
        ),
    ],
)
def test_refused(learner, task, code):
    with pytest.raises(ConfigurationError) as caught:
        refuse_unusable(learner, voting="soft", task=task)
    assert caught.value.code == code
    assert caught.value.hint


def test_names_on_a_command_line():
    made = learner_from_path("XGBClassifier", {"max_depth": 2})
    assert isinstance(made, xgboost.XGBClassifier) and made.max_depth == 2
    assert isinstance(learner_from_path("lightgbm.LGBMRegressor"), lightgbm.LGBMRegressor)
    assert isinstance(learner_from_path("CatBoostClassifier"), catboost.CatBoostClassifier)
    with pytest.raises(ConfigurationError, match="early_stopping_rounds"):
        learner_from_path("XGBRFClassifier", {"early_stopping_rounds": 3})
    with pytest.raises(ConfigurationError, match="XGBClassifier"):
        learner_from_path("XGBClasifier")


def test_importances_of_a_pipeline_and_its_threads():
    from sparkml_dist.members.importance import learner_importances

    X, y = rows()
    pipe = make_pipeline(StandardScaler(), catboost.CatBoostClassifier(iterations=3))
    ours = fitted(pipe, X, y)
    assert learner_importances(ours, 4).sum() > 0
    assert np.array_equal(ours.predict_proba(X), ours.booster.predict_proba(X))


@pytest.mark.parametrize("named", [["f3", "f1"], [1, 3], "f3", 3])
def test_categories_that_the_user_names(named):
    columns = [FeatureColumn(f"f{i}", "numeric") for i in range(4)]
    schema = FeatureSchema.build(columns, sparse=False)
    known = KnownLearner.of(catboost.CatBoostClassifier(iterations=2, cat_features=named), schema)
    found = known.prepared(1, 1)
    inner = found.learner if known.form == "frame" else found
    assert inner.categorical == ([1, 3] if isinstance(named, list) else [3])
    found = known.prepared(1, 1, [3, 0])
    inner = found.learner if known.form == "frame" else found
    assert inner.categorical == [0]
    X, y = rows()
    assert found.fit(X[:, [3, 0]], y).predict(X[:, [3, 0]]).shape == (len(y),)
