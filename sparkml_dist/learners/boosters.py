"""Learners of XGBoost, LightGBM and CatBoost: what an ensemble has to tell them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.learners.naming import parts

__all__ = [
    "BARE_NAMES",
    "PACKAGES",
    "booster_package",
    "few_rounds",
    "last_step",
    "rank_classes",
    "refuse_unusable_boosters",
    "running_settings",
    "stops_early",
    "takes_categories",
    "without_stopping",
]

PACKAGES = ("xgboost", "lightgbm", "catboost")
# Classes that a command line may give without their package.
BARE_NAMES = {
    f"{prefix}{kind}": package
    for package, prefixes in (
        ("xgboost", ("XGB", "XGBRF")),
        ("lightgbm", ("LGBM",)),
        ("catboost", ("CatBoost",)),
    )
    for prefix in prefixes
    for kind in ("Classifier", "Regressor")
}
# Other names of a parameter, its own first.
_ROUNDS = {
    "xgboost": ("n_estimators",),
    "lightgbm": (
        *("n_estimators", "num_iterations", "num_iteration", "n_iter", "num_tree", "num_trees"),
        *("num_round", "num_rounds", "num_boost_round", "max_iter", "nrounds"),
    ),
    "catboost": ("iterations", "n_estimators", "num_boost_round", "num_trees"),
}
_STOPPING = {
    "xgboost": ("early_stopping_rounds",),
    "lightgbm": ("early_stopping_round", "early_stopping_rounds", "early_stopping"),
    "catboost": ("early_stopping_rounds", "od_wait", "od_pval", "od_type"),
}
_LIGHTGBM_THREADS = ("num_threads", "num_thread", "nthread", "nthreads")
_LIGHTGBM_CATEGORIES = ("categorical_feature", "cat_feature", "categorical_column", "cat_column")
_QUIET = {
    "xgboost": ("verbosity",),
    "lightgbm": ("verbose", "verbosity"),
    "catboost": ("verbose", "verbose_eval", "silent", "logging_level", "metric_period"),
}
_FEW = 3


def booster_package(learner: Any) -> str | None:
    """Return the package of a booster's class or of one of its bases, None for other learners."""
    if not hasattr(learner, "get_params"):
        return None
    for base in type(learner).__mro__:
        package = base.__module__.partition(".")[0]
        if package in PACKAGES:
            return package
    return None


def last_step(learner: Any) -> Any:
    """Return the last step of a pipeline, of pipelines in it too; any other learner itself."""
    from sklearn.pipeline import Pipeline

    while isinstance(learner, Pipeline):
        learner = learner.steps[-1][1]
    return learner


def _boosters(learner: Any) -> Iterator[Any]:
    """Yield the boosters in a learner, itself included."""
    found = (value for *_, value in parts(learner) if booster_package(value))
    yield from {id(b): b for b in found}.values()


def _by_name(learner: Any) -> Iterator[tuple[str, Any]]:
    """Yield the boosters in a learner that `set_params` reaches, with a prefix of their names."""
    for name, value in [("", learner), *sorted(learner.get_params(deep=True).items())]:
        if booster_package(value):
            yield f"{name}__" if name else "", value


def rank_classes(learner: Any) -> bool:
    """Tell whether a part of a learner only takes classes 0, 1, … without a gap."""
    return any(booster_package(b) == "xgboost" for b in _boosters(learner))


def running_settings(learner: Any, random_state: int, cores: int) -> dict[str, Any]:
    """Return the parameters that boosters run with in a task: threads, seed, silence.

    Boosters take all cores of the machine unless they are told otherwise.

    Parameters
    ----------
    learner : scikit-learn estimator
        A booster, or a learner that contains some.
    random_state : int
        Seed of boosters that have no ``random_state`` among their parameters yet.
    cores : int
        Cores of the task.

    Returns
    -------
    dict
        For ``learner.set_params``.
    """
    found: dict[str, Any] = {}
    for prefix, booster in _by_name(learner):
        package, given = booster_package(booster), booster.get_params(deep=False)
        quiet = any(given.get(name) is not None for name in _QUIET[str(package)])
        own: dict[str, Any] = {}
        if package == "catboost":
            own |= {"thread_count": cores, "allow_writing_files": False}
            if "random_state" not in given:
                own["random_seed"] = random_state
            if not quiet:
                own["verbose"] = False
        else:
            own["n_jobs"] = cores
            if not quiet:
                own |= {"verbosity": 0} if package == "xgboost" else {"verbose": -1}
        if package == "lightgbm":
            own |= {name: cores for name in _LIGHTGBM_THREADS if name in given}
            layouts = ("deterministic", "force_col_wise", "force_row_wise")
            if not any(name in given for name in layouts):
                # It otherwise times two ways of summing and takes the faster, so that a retry may
                # give other trees.
                own |= {"deterministic": True, "force_col_wise": True}
        found |= {f"{prefix}{name}": value for name, value in own.items()}
    return found


def few_rounds(learner: Any) -> dict[str, Any]:
    """Return the parameters that limit boosters to a few rounds, for a trial."""
    found = {}
    for prefix, booster in _by_name(learner):
        given = booster.get_params(deep=False)
        names = _ROUNDS[str(booster_package(booster))]
        several = [name for name in names if given.get(name) is not None]
        for name in several or names[:1]:
            value = given.get(name)
            if value is None or (isinstance(value, int | float) and value > _FEW):
                found[f"{prefix}{name}"] = _FEW
    return found


def stops_early(booster: Any) -> bool:
    """Tell whether a booster is to stop early, for which it needs held-out rows."""
    package = booster_package(booster)
    if package is None:
        return False
    given = booster.get_params(deep=False)
    if package == "catboost" and given.get("use_best_model"):
        return True
    return any(given.get(name) for name in _STOPPING[package])  # 0 is never


def without_stopping(booster: Any) -> dict[str, Any]:
    """Return the parameters with which a booster does not stop early."""
    package = str(booster_package(booster))
    given = booster.get_params(deep=False)
    off = {name: None for name in _STOPPING[package] if given.get(name) is not None}
    if package == "lightgbm":
        off = dict.fromkeys(off, 0)  # type: ignore[arg-type]
    if given.get("use_best_model"):
        off["use_best_model"] = False  # type: ignore[assignment]
    return off


def takes_categories(booster: Any) -> bool:
    """Tell whether a booster may get features as categories, and does not name them itself."""
    package = booster_package(booster)
    if package is None:
        return False
    given = booster.get_params(deep=False)
    if package == "xgboost":
        plain = given.get("booster") == "gblinear" or given.get("tree_method") == "exact"
        return not plain and given.get("feature_types") is None
    names = _LIGHTGBM_CATEGORIES if package == "lightgbm" else ("cat_features",)
    return all(given.get(name) is None for name in names)


def refuse_unusable_boosters(learner: Any, wanted: str) -> None:
    """Raise if a booster in a learner cannot be a member, or a part of one.

    Parameters
    ----------
    learner : scikit-learn estimator
    wanted : {"classifier", "regressor"}

    Raises
    ------
    ConfigurationError
        ``not_a_classifier`` or ``not_a_regressor`` for a ranker, ``not_an_estimator`` for a class
        without the interface of a classifier or regressor, ``invalid_estimator_parameter``.
    """
    last = last_step(learner)
    for booster in _boosters(learner):
        kind, package = type(booster).__name__, booster_package(booster)
        names = {base.__name__ for base in type(booster).__mro__}
        plain = {"xgboost": "XGB", "lightgbm": "LGBM", "catboost": "CatBoost"}[str(package)]
        use = f"{package}.{plain}{wanted.capitalize()}"
        if any(name.endswith("Ranker") for name in names):
            raise ConfigurationError(
                "not_a_regressor" if wanted == "regressor" else "not_a_classifier",
                f"{kind} ranks rows within groups, and members of ensembles get rows without "
                "groups.",
                f"Use {use}, with the relevance as the label.",
            )
        if not names.intersection({f"{plain}Classifier", f"{plain}Regressor"}):
            raise ConfigurationError(
                "not_an_estimator",
                f"{kind} of {package} is neither a classifier nor a regressor.",
                f"Use {use}.",
            )
        given = booster.get_params(deep=False)
        if given.get("callbacks"):
            raise ConfigurationError(
                "invalid_estimator_parameter",
                f"callbacks of {kind} cannot be stored with a member.",
                "For early stopping set early_stopping_rounds.",
            )
        if given.get("multi_strategy") not in (None, "one_output_per_tree"):
            raise ConfigurationError(
                "invalid_estimator_parameter",
                f"multi_strategy={given['multi_strategy']!r} of {kind} is not supported.",
                "Leave it out: each class then has trees of its own.",
            )
        if booster is not last and stops_early(booster):
            raise ConfigurationError(
                "invalid_estimator_parameter",
                f"{kind} is to stop early inside a {type(learner).__name__}, which passes it no "
                "held-out rows.",
                "Give the booster itself as the learner, or as the last step of a pipeline; or "
                "leave early_stopping_rounds out.",
            )
