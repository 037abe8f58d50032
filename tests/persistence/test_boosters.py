"""Boosters at rest: their own formats inside skops files, checked before they are read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sparkml_dist.errors import ConfigurationError, StorageError, TrainingError
from sparkml_dist.learners.booster_learner import BoosterLearner
from sparkml_dist.learners.learner import prepare
from sparkml_dist.persistence.boosters.catboost_model import check_catboost
from sparkml_dist.persistence.boosters.lightgbm_model import check_lightgbm
from sparkml_dist.persistence.boosters.objectives import OBJECTIVES
from sparkml_dist.persistence.boosters.stored import booster
from sparkml_dist.persistence.boosters.ubjson import read_ubjson
from sparkml_dist.persistence.boosters.xgboost_model import check_xgboost
from sparkml_dist.persistence.learners import dump_learner, load_learner
from tests.persistence.learner_files import joined, parts, schema_of

xgboost = pytest.importorskip("xgboost")
lightgbm = pytest.importorskip("lightgbm")
catboost = pytest.importorskip("catboost")

_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(200, 4)).astype(np.float32)
X[::7, 0] = np.nan
X[:, 3] = _RNG.integers(0, 6, 200)
X[::11, 3] = np.nan
THREE = (np.nan_to_num(X[:, 3]) % 3).astype(np.int64)
WEIGHT = _RNG.uniform(1, 2, 200)
_STILL = {"verbose": 0, "allow_writing_files": False, "thread_count": 1, "iterations": 4}

LEARNERS = {
    "xgboost": (xgboost.XGBClassifier, xgboost.XGBRegressor, {"n_estimators": 4}),
    "random forest": (xgboost.XGBRFClassifier, xgboost.XGBRFRegressor, {"n_estimators": 4}),
    "dart": (xgboost.XGBClassifier, xgboost.XGBRegressor, {"n_estimators": 4, "booster": "dart"}),
    "lightgbm": (
        lightgbm.LGBMClassifier,
        lightgbm.LGBMRegressor,
        {"n_estimators": 4, "min_child_samples": 5, "min_data_per_group": 5},
    ),
    "catboost": (catboost.CatBoostClassifier, catboost.CatBoostRegressor, {"iterations": 4}),
    "leafwise": (
        catboost.CatBoostClassifier,
        catboost.CatBoostRegressor,
        {"iterations": 4, "grow_policy": "Lossguide"},
    ),
}


def made(name, target, *, stopping=False):
    """Return a fitted member with categories, missing values and weights."""
    kinds, few = LEARNERS[name][:2], dict(LEARNERS[name][2])
    if stopping:
        few["early_stopping_rounds"] = 2
    learner = prepare(kinds[target == "number"](**few), 3, 1, categories=[0, 0, 0, 6])
    y = {"two": THREE // 2, "three": THREE, "number": X[:, 1] + THREE}[target]
    return BoosterLearner(learner, [3], seed=3).fit(X, y, sample_weight=WEIGHT)


def shown(learner):
    return str(sorted(learner.get_params().items()))  # NaN is equal to itself as a text


@pytest.mark.parametrize("target", ["two", "three", "number"])
@pytest.mark.parametrize("name", sorted(LEARNERS))
def test_predictions_are_the_same_to_the_bit(name, target):
    learner = made(name, target)
    content = dump_learner(learner)
    again = load_learner(content, "m")
    methods = ["predict"] if target == "number" else ["predict", "predict_proba"]
    for method in methods:
        assert np.array_equal(getattr(again, method)(X), getattr(learner, method)(X))
    assert np.array_equal(again.feature_importances_, learner.feature_importances_)
    assert shown(again.booster) == shown(learner.booster)
    if target != "number":
        assert np.array_equal(again.classes_, learner.classes_)
    if not name.startswith(("cat", "leaf")):  # CatBoost orders a loaded model's facts anew
        assert dump_learner(again) == content
    # Equal learners, fitted at another time, give equal bytes; and nothing is pickled.
    assert dump_learner(made(name, target)) == content
    assert b"\x80\x04" not in parts(content)["schema.json"]


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "catboost"])
def test_the_round_where_it_stopped_is_kept(name):
    learner = made(name, "three", stopping=True)
    again = load_learner(dump_learner(learner), "m")
    assert np.array_equal(again.predict_proba(X), learner.predict_proba(X))
    if name != "catboost":  # whose model ends there
        best = "best_iteration" if name == "xgboost" else "best_iteration_"
        assert getattr(again.booster, best) == getattr(learner.booster, best)


def test_boosters_anywhere_in_a_learner():
    few = {"n_estimators": 3, "n_jobs": 1}
    learners = [
        make_pipeline(StandardScaler(), xgboost.XGBClassifier(**few)),
        CalibratedClassifierCV(lightgbm.LGBMClassifier(verbose=-1, **few), cv=2),
        StackingClassifier(
            [("x", xgboost.XGBClassifier(**few)), ("c", catboost.CatBoostClassifier(**_STILL))],
            cv=2,
        ),
    ]
    for learner in learners:
        learner.fit(X, THREE)
        content = dump_learner(learner)
        again = load_learner(content, "m")
        assert np.array_equal(again.predict_proba(X), learner.predict_proba(X))
        assert dump_learner(learner) == content
    both = [("l", lightgbm.LGBMRegressor(verbose=-1, **few)), ("x", xgboost.XGBRegressor(**few))]
    vote = VotingRegressor(both).fit(X, X[:, 1])
    assert np.array_equal(load_learner(dump_learner(vote), "m").predict(X), vote.predict(X))


def test_unfitted_boosters_keep_their_parameters():
    for learner in (
        xgboost.XGBClassifier(max_depth=3, monotone_constraints={"a": 1}),
        lightgbm.LGBMRegressor(num_leaves=4, min_data_in_bin=5),
        catboost.CatBoostClassifier(depth=3, class_weights={0: 1, 1: 2}),
    ):
        again = load_learner(dump_learner(learner), "m")
        assert type(again) is type(learner)
        assert shown(again) == shown(learner)


def test_frames_of_strings():
    import pandas as pd

    frame = pd.DataFrame({"a": X[:, 1], "b": pd.Categorical.from_codes(THREE, ["x", "yy", "z"])})
    few = {"n_estimators": 3, "n_jobs": 1}
    learner = xgboost.XGBRegressor(enable_categorical=True, **few).fit(frame, X[:, 1] + THREE)
    again = load_learner(dump_learner(learner), "m")
    assert np.array_equal(again.predict(frame), learner.predict(frame))
    learner = lightgbm.LGBMRegressor(verbose=-1, **few).fit(frame, X[:, 1] + THREE)
    again = load_learner(dump_learner(learner), "m")
    assert np.array_equal(again.predict(frame), learner.predict(frame))


def loss(preds, data):
    return preds, data


def test_functions_need_trust():
    learner = xgboost.XGBRegressor(n_estimators=2, objective=loss)
    with pytest.raises(StorageError) as caught:
        dump_learner(learner)
    assert caught.value.code == "untrusted_type"
    assert f"{__name__}.loss" in str(caught.value)


# -- crafted files ----------------------------------------------------------------------------


def altered_model(content, change):
    """Return a learner's file with another model in it."""
    files = parts(content)
    name = next(n for n in files if n.endswith(".bin"))
    files[name] = change(files[name])
    return joined(files)


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "catboost"])
def test_a_truncated_model_is_refused(name):
    content = dump_learner(made(name, "three"))
    for share in (0, 10, 2):
        cut = altered_model(content, lambda m, s=share: m[: len(m) // s] if s else b"")
        with pytest.raises(StorageError) as caught:
            load_learner(cut, "m.skops")
        assert caught.value.code == "damaged_member"


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("xgboost", b"multi:softprob", b"multi:nonsense"),
        ("lightgbm", b"objective=multiclass ", b"objective=multiclasp "),
        ("catboost", b'"MultiClass"', b'"MultiClasp"'),
    ],
)
def test_an_unknown_objective_is_named(name, old, new):
    content = altered_model(dump_learner(made(name, "three")), lambda m: m.replace(old, new))
    with pytest.raises(
        StorageError, match=new.decode().strip('"').split("=")[-1].strip()
    ) as caught:
        load_learner(content, "m.skops")
    assert "objective" in caught.value.message and "again" in caught.value.hint


def test_only_classes_of_the_table_are_made():
    for name in ("os.system", "xgboost.Booster", "xgboost.sklearn.XGBClassifier", "", "catboost"):
        with pytest.raises(ValueError, match="not a booster"):
            booster(name, {}, {}, None)
    for key in ("machine_list_filename", "predict_disable_shape_check", "snapshot_file", "a b"):
        with pytest.raises(ValueError, match="parameter"):
            booster("lightgbm.LGBMClassifier", {key: "x"}, {}, None)


def test_a_model_of_another_package_or_size_is_refused():
    own = {name: dump_learner(made(name, "three")) for name in ("xgboost", "lightgbm")}
    model = next(v for k, v in parts(own["lightgbm"]).items() if k.endswith(".bin"))
    with pytest.raises(StorageError):
        load_learner(altered_model(own["xgboost"], lambda _: model), "m")

    def more_classes(schema):
        text = json.dumps(schema).replace('"content": "3"', '"content": "2"', 1)
        schema.clear()
        schema.update(json.loads(text))

    facts = {"n_classes": 2}
    raw = made("xgboost", "three").booster.get_booster().save_raw("ubj")
    with pytest.raises(ValueError, match="2 classes has a model of 3"):
        booster("xgboost.XGBClassifier", {}, facts, bytes(raw))
    assert load_learner(schema_of(own["xgboost"], lambda _: None), "m") is not None


def xgboost_trees(change):
    """Return a sound model in UBJSON after a change of one of its values, found by its name."""
    raw = bytes(made("xgboost", "three").booster.get_booster().save_raw("ubj"))
    name, place, value = change
    at = raw.index(name.encode()) + len(name)
    assert raw[at : at + 4] == b"[$l#"
    at += 4 + 9 + 4 * place
    return raw[:at] + value.to_bytes(4, "big", signed=True) + raw[at + 4 :]


@pytest.mark.parametrize(
    "change",
    [
        ("left_children", 0, 0),
        ("left_children", 0, 10_000),
        ("left_children", 0, -2),
        ("right_children", 0, 1),
        ("split_indices", 0, 4),
        ("split_indices", 0, -1),
        ("split_indices", 0, 2**31 - 1),
        ("parents", 1, 5),
    ],
)
def test_indices_of_xgboost_are_checked(change):
    with pytest.raises(ValueError, match="tree"):
        check_xgboost(xgboost_trees(change))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("left_child=", "left_child=0 "),
        ("split_feature=", "split_feature=9"),
        ("num_leaves=", "num_leaves=9"),
        ("tree_sizes=", "tree_sizes=1"),
        ("max_feature_idx=3", "max_feature_idx=4"),
        ("num_class=3", "num_class=4"),
        ("num_tree_per_iteration=3", "num_tree_per_iteration=2"),
        ("cat_boundaries=0", "cat_boundaries=7"),
        ("decision_type=", "decision_type=9"),
        ("is_linear=0", "is_linear=1"),
        ("version=v4", "version=v4\nversion=v4"),
        ("Tree=0", "Tree=1"),
        ("end of trees", "end of tree"),
    ],
)
def test_indices_of_lightgbm_are_checked(old, new):
    text = made("lightgbm", "three").booster.booster_.model_to_string()
    check_lightgbm(text.encode())
    assert old in text
    with pytest.raises((ValueError, KeyError)):
        check_lightgbm(text.replace(old, new, 1).encode())


def test_indices_of_catboost_are_checked():
    model = made("catboost", "three").booster._serialize_model()
    sizes = check_catboost(model)
    assert sizes == {"features": 4, "groups": 3}
    rng = np.random.default_rng(0)
    refused = 0
    for at in rng.integers(8, len(model), 300):
        changed = model[:at] + b"\xff\xff" + model[at + 2 :]
        try:
            check_catboost(changed)
        except (ValueError, KeyError):
            refused += 1
    assert refused > 30
    with pytest.raises(ValueError, match="beyond its end|tables"):
        check_catboost(model + b"\0")


def test_ubjson_reads_what_xgboost_writes():
    raw = made("xgboost", "three").booster.get_booster()
    found, known = read_ubjson(bytes(raw.save_raw("ubj"))), json.loads(raw.save_raw("json"))

    def same(a, b):
        if isinstance(b, dict):
            assert list(a) == sorted(b) and all(same(a[k], v) for k, v in b.items())
        elif isinstance(b, list):
            assert len(a) == len(b)
            if isinstance(a, np.ndarray):
                assert np.allclose(a, b, rtol=1e-6)
            else:
                assert all(map(same, a, b))
        else:
            assert a == b
        return True

    assert same(found, known)
    for wrong in (
        b"{",
        b"{i\x01aT",
        b"[$l#l\x7f\xff\xff\xff",
        b"[#i\x7f",
        b"?",
        b"TT",
        b"S[",
        b"[" * 99,
    ):
        with pytest.raises(ValueError, match="model"):
            read_ubjson(wrong)
    with pytest.raises(ValueError, match="twice"):
        read_ubjson(b"{i\x01aTi\x01aF}")


def test_models_that_cannot_be_checked_are_not_stored():
    linear = lightgbm.LGBMRegressor(linear_tree=True, n_estimators=2, verbose=-1)
    with pytest.raises(TrainingError, match="leaves") as caught:
        dump_learner(linear.fit(np.nan_to_num(X), X[:, 1]))
    assert caught.value.code == "not_storable"
    vector = xgboost.XGBClassifier(multi_strategy="multi_output_tree", n_estimators=2)
    with pytest.raises(TrainingError, match="leaf"):
        dump_learner(vector.fit(X, THREE))


def test_the_objectives_are_those_of_the_packages():
    with pytest.raises(xgboost.core.XGBoostError) as caught:
        xgboost.XGBRegressor(objective="none").fit(X, X[:, 1])
    for line in str(caught.value).splitlines():
        if line.startswith("Objective candidate: "):
            assert line.removeprefix("Objective candidate: ") in OBJECTIVES["xgboost"]


def test_a_missing_package_is_named(monkeypatch):
    import sparkml_dist.persistence.boosters.stored as stored

    content = dump_learner(xgboost.XGBClassifier())

    def gone(name):
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(stored, "import_module", gone)
    with pytest.raises(ConfigurationError, match="xgboost") as caught:
        load_learner(content, "m")
    assert caught.value.code == "booster_missing"
    assert "sparkml_dist[boost]" in caught.value.hint


@pytest.mark.parametrize("name", ["xgboost", "lightgbm", "catboost"])
def test_files_of_earlier_versions_are_read(name):
    from scripts.make_booster_samples import rows

    folder = Path(__file__).resolve().parents[1] / "samples" / "boosters"
    learner = load_learner((folder / f"{name}.skops").read_bytes(), name)
    known = np.array(json.loads((folder / f"{name}.json").read_text()))
    assert np.allclose(learner.predict_proba(rows()), known, atol=1e-6)
