"""Boosters in learners' files: a name from a table, parameters, and the model in its own format.

A file holds a call of `booster` instead of the booster's Python objects, wherever in a learner it
occurs. Models are checked when they are written, and before their package reads them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.persistence.boosters.catboost_model import check_catboost
from sparkml_dist.persistence.boosters.lightgbm_model import check_lightgbm
from sparkml_dist.persistence.boosters.xgboost_model import check_xgboost

__all__ = ["BOOSTERS", "booster", "store_boosters"]

# Every class that a file may name, by its package.
BOOSTERS: dict[str, tuple[str, ...]] = {
    "xgboost": ("XGBClassifier", "XGBRegressor", "XGBRFClassifier", "XGBRFRegressor"),
    "lightgbm": ("LGBMClassifier", "LGBMRegressor"),
    "catboost": ("CatBoostClassifier", "CatBoostRegressor"),
}
# Parameters that name files or hosts, or switch off checks when predicting.
_REFUSED = ("filename", "_file", "machine", "shape_check", "snapshot", "put_model", "train_dir")
_CHECKS: dict[str, Callable[[bytes], dict[str, int]]] = {
    "xgboost": check_xgboost,
    "lightgbm": check_lightgbm,
    "catboost": check_catboost,
}
# What a model of CatBoost says about the run that made it.
_OF_THE_RUN = ("model_guid", "train_finish_time")
_registered: set[str] = set()


def booster(name: str, params: dict[str, Any], facts: dict[str, Any], model: bytes | None) -> Any:
    """Return a booster.

    Parameters
    ----------
    name : str
        Its package and class, for example ``"xgboost.XGBClassifier"``.
    params : dict
        Arguments of the class.
    facts : dict
        What scikit-learn's interface keeps beside the model.
    model : bytes or None
        In the package's own format; None for one that is not fitted.

    Raises
    ------
    ConfigurationError
        ``booster_missing`` if the package is not installed.
    ValueError, KeyError, TypeError
        The name is not in the table, a parameter is not allowed, or the model is not sound.
    """
    package, _, kind = name.partition(".")
    if kind not in BOOSTERS.get(package, ()):
        raise ValueError(f"{name[:60]!r} is not a booster that files may hold")
    _check_params(name, params)
    if model is None:
        return getattr(_package(package), kind)(**params)
    if not isinstance(model, bytes):
        raise ValueError("the model is not in the package's own format")
    sizes = _CHECKS[package](model)
    made = getattr(_package(package), kind)(**params)
    _RESTORE[package](made, facts, model, sizes)
    return made


def _check_params(name: str, params: dict[str, Any]) -> None:
    for key in params:
        parts = [part for part in _REFUSED if part in key.lower()]
        if not key.isidentifier() or (parts and key != "allow_writing_files"):
            raise ValueError(f"{name} must not have the parameter {key[:60]!r} in a file")


def _package(package: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise ConfigurationError(
            "booster_missing",
            f"The learner needs the package {package!r}, which is not installed here ({error}).",
            "pip install 'sparkml_dist[boost]'",
        ) from error


def store_boosters() -> None:
    """Make skops save boosters of the imported packages as calls of `booster`."""
    for package, kinds in BOOSTERS.items():
        if package in _registered or package not in sys.modules:
            continue
        from skops.io._utils import _get_state

        for kind in kinds:
            _get_state.register(getattr(sys.modules[package], kind))(_described)
        _registered.add(package)


def _described(made: Any, context: Any) -> dict[str, Any]:
    """Return the node of a booster in a file's schema."""
    from skops.io._general import object_get_state
    from skops.io._utils import get_state

    package = type(made).__module__.partition(".")[0]
    kind = type(made).__name__
    if kind not in BOOSTERS.get(package, ()) or type(made) is not getattr(
        sys.modules[package], kind
    ):
        # A class of the user's own, whose name has to be trusted.
        return object_get_state(made, context)
    known = ("booster", id(made))
    if known not in context.memo:
        facts, model = _STORE[package](made)
        if model is not None:
            _CHECKS[package](model)
        given = sorted(made.get_params(deep=False).items())
        params = {k: v for k, v in given if v is not None}
        _check_params(f"{package}.{kind}", params)
        args = (f"{package}.{kind}", params, facts, model)
        context.memo[known] = {
            "__class__": "booster",
            "__module__": __name__,
            "__loader__": "ConstructorFromReduceNode",
            "content": get_state(args, context),
        }
    found: dict[str, Any] = dict(context.memo[known])
    return found


# -- XGBoost ----------------------------------------------------------------------------------


def _stored_xgboost(made: Any) -> tuple[dict[str, Any], bytes | None]:
    if not made.__sklearn_is_fitted__():
        return {}, None
    facts = {"n_classes": int(made.n_classes_)} if hasattr(made, "n_classes_") else {}
    return facts, bytes(made.get_booster().save_raw("ubj"))


def _restored_xgboost(
    made: Any, facts: dict[str, Any], model: bytes, sizes: dict[str, int]
) -> None:
    from xgboost import Booster

    made._Booster = Booster({"nthread": made.n_jobs or 1}, model_file=bytearray(model))
    if hasattr(type(made), "predict_proba"):
        _check_classes(int(facts["n_classes"]), sizes["groups"])
        made.n_classes_ = int(facts["n_classes"])


# -- LightGBM ---------------------------------------------------------------------------------


def _stored_lightgbm(made: Any) -> tuple[dict[str, Any], bytes | None]:
    if not made.__sklearn_is_fitted__():
        return {}, None
    facts = {
        "objective": made._objective if isinstance(made._objective, str) else None,
        "best_iteration": int(made._best_iteration or 0),
        "named": bool(made._fitted_with_feature_names),
    }
    if hasattr(made, "predict_proba"):
        facts["classes"] = np.asarray(made._classes).tolist()
    return facts, made.booster_.model_to_string(num_iteration=-1).encode()


def _restored_lightgbm(
    made: Any, facts: dict[str, Any], model: bytes, sizes: dict[str, int]
) -> None:
    from lightgbm import Booster
    from sklearn.preprocessing import LabelEncoder

    best = int(facts["best_iteration"])
    inner = Booster(model_str=model.decode())
    if not 0 <= best <= inner.num_trees() // sizes["groups"]:
        raise ValueError("the model's best iteration does not exist")
    inner.best_iteration = best
    made._Booster = inner
    made._best_iteration = best
    made._objective = facts["objective"]
    made._n_features = made._n_features_in = sizes["features"]
    made._fitted_with_feature_names = bool(facts["named"])
    made._evals_result, made._best_score = {}, {}
    if hasattr(made, "predict_proba"):
        classes = np.asarray(facts["classes"])
        _check_classes(len(classes), sizes["groups"])
        made._le = LabelEncoder()
        made._le.classes_ = classes
        made._classes, made._n_classes = classes, len(classes)
        made._class_map = dict(zip(classes.tolist(), range(len(classes)), strict=True))
        made._class_weight = None
    made.fitted_ = True


# -- CatBoost ---------------------------------------------------------------------------------


def _stored_catboost(made: Any) -> tuple[dict[str, Any], bytes | None]:
    if not made.is_fitted():
        return {}, None
    importances = made._prediction_values_change
    facts = {"importances": None if importances is None else [float(x) for x in importances]}
    about = made.get_metadata()
    ours = {key: about[key] for key in _OF_THE_RUN if key in about}
    try:
        for key in ours:
            about[key] = ""
        return facts, made._serialize_model()
    finally:
        for key, value in ours.items():
            about[key] = value


def _restored_catboost(
    made: Any, facts: dict[str, Any], model: bytes, sizes: dict[str, int]
) -> None:
    params = made._init_params
    made.load_model(blob=model)
    made._init_params = params  # not with what the model says of them too
    importances = facts["importances"]
    if importances is not None:
        if len(importances) != sizes["features"]:
            raise ValueError("the importances do not match the number of features")
        made._prediction_values_change = [float(x) for x in importances]
    if hasattr(made, "predict_proba"):
        _check_classes(len(made.classes_), sizes["groups"])


def _check_classes(classes: int, groups: int) -> None:
    """Raise unless a classifier has as many classes as its model; two classes have one number."""
    if classes != groups and (classes, groups) != (2, 1):
        raise ValueError(f"a classifier of {classes} classes has a model of {groups}")


_STORE = {
    "xgboost": _stored_xgboost,
    "lightgbm": _stored_lightgbm,
    "catboost": _stored_catboost,
}
_RESTORE = {
    "xgboost": _restored_xgboost,
    "lightgbm": _restored_lightgbm,
    "catboost": _restored_catboost,
}
