"""The properties of a scikit-learn learner that an ensemble needs before it fits copies of it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from sparkml_dist.dataset.columns import Task
from sparkml_dist.errors import ConfigurationError, nearest
from sparkml_dist.learners.boosters import (
    BARE_NAMES,
    PACKAGES,
    booster_package,
    last_step,
    refuse_unusable_boosters,
    running_settings,
    takes_categories,
)
from sparkml_dist.learners.naming import changed, parts, refuse_unimportable

__all__ = ["Traits", "learner_from_path", "modules_of", "prepare", "refuse_unusable"]

_HISTOGRAMS = "sklearn.ensemble._hist_gradient_boosting."
# Histogram boosting has at most this many bins; features with more categories stay numeric.
_MOST_CATEGORIES = 255


@dataclass(frozen=True)
class Traits:
    """Properties of a learner.

    Attributes
    ----------
    name : str
        Class name; for a pipeline, with that of the last step.
    weight_parameter : str or None
        Keyword of ``fit`` that takes sample weights.
    allows_missing : bool or tuple of int
        Whether features may be NaN, or which may. Derived from the tags; a dry fit corrects it.
    allows_sparse : bool
        Whether it accepts CSR matrices.
    probabilistic : bool
        Whether it has ``predict_proba``.
    dtype : str
        Type of dense features that it uses without copying.
    is_regressor : bool
        Whether it predicts numbers and not classes.
    prefers_rows : bool
        Whether repeated rows are cheaper for it than weights.
    encodes : bool
        Whether it has a step that handles unseen categories; to other learners they are missing
        values.
    bins : bool
        Whether a part of it bins features, which fails for a feature without any value.
    """

    name: str
    weight_parameter: str | None
    allows_missing: bool | tuple[int, ...]
    allows_sparse: bool
    probabilistic: bool
    dtype: str
    is_regressor: bool = False
    prefers_rows: bool = False
    encodes: bool = False
    bins: bool = False

    @classmethod
    def of(cls, learner: Any) -> Traits:
        """Examine an unfitted learner."""
        from sklearn.base import is_regressor
        from sklearn.pipeline import Pipeline
        from sklearn.utils import get_tags
        from sklearn.utils.validation import has_fit_parameter

        weight, name, last = None, type(learner).__name__, learner
        if isinstance(learner, Pipeline):
            step, last = learner.steps[-1]
            name = f"{name}(…, {type(last).__name__})"
            if has_fit_parameter(last, "sample_weight"):
                weight = f"{step}__sample_weight"
        elif has_fit_parameter(learner, "sample_weight"):
            weight = "sample_weight"
        tags = get_tags(learner).input_tags
        histograms = type(learner).__module__.startswith(_HISTOGRAMS)
        return cls(
            name=name,
            weight_parameter=weight,
            allows_missing=_allows_missing(learner),
            allows_sparse=bool(tags.sparse),
            probabilistic=_is_probabilistic(learner),
            # Histogram boosting copies float32 to float64; float64 blocks avoid the copy.
            dtype="float64" if histograms else "float32",
            is_regressor=is_regressor(learner),
            # With weights it needs a hessian per row, and takes 3 to 5 times as long.
            prefers_rows=histograms,
            bins=any(type(v).__module__.startswith(_HISTOGRAMS) for _, _, v in parts(learner)),
        )


def _is_probabilistic(learner: Any) -> bool:
    """Tell whether a learner will have ``predict_proba`` once it is fitted.

    An unfitted `StackingClassifier` with the default final estimator does not show it.
    """
    from sklearn.ensemble import StackingClassifier
    from sklearn.linear_model import LogisticRegression

    def settle(owner: Any, name: str, value: Any) -> Any:
        unset = name == "final_estimator" and value is None
        return LogisticRegression() if unset and isinstance(owner, StackingClassifier) else value

    return hasattr(changed(learner, "", learner, settle), "predict_proba")


def _allows_missing(learner: Any) -> bool:
    """Tell whether features may be NaN, or are imputed before any step that cannot take NaN.

    A pipeline's own tags do not tell: an imputer may come after steps that let NaN through.
    """
    from sklearn.pipeline import Pipeline
    from sklearn.utils import get_tags

    steps = [step for _, step in learner.steps] if isinstance(learner, Pipeline) else [learner]
    for step in steps:
        if step is None or step == "passthrough":
            continue
        if not (get_tags(step).input_tags.allow_nan or isinstance(step, Pipeline)):
            return False
        if type(step).__name__.endswith("Imputer"):
            return True
        if isinstance(step, Pipeline) and not _allows_missing(step):
            return False
    return True


def learner_from_path(
    path: str, params: dict[str, Any] | None = None, *, task: Task = "classification"
) -> Any:
    """Return an instance of the class with a dotted path.

    Parameters
    ----------
    path : str
        For example ``"sklearn.tree.DecisionTreeClassifier"``; a bare class name is looked up
        among scikit-learn's classifiers, or regressors, and those of XGBoost, LightGBM and
        CatBoost.
    params : dict, optional
        Arguments of its constructor.
    task : {"classification", "regression"}, default="classification"

    Raises
    ------
    ConfigurationError
        ``unknown_estimator``, ``not_an_estimator`` or ``unknown_estimator_parameter``.
    """
    from sklearn.utils import all_estimators

    module, _, name = path.rpartition(".")
    module = module or BARE_NAMES.get(name, "")
    if not module:
        kind_wanted = "regressor" if task == "regression" else "classifier"
        known = dict(all_estimators(type_filter=kind_wanted))
        if name not in known:
            close = nearest(name, [*known, *BARE_NAMES])
            raise ConfigurationError(
                "unknown_estimator",
                f"scikit-learn has no {kind_wanted} {name!r}.{close}",
                "Give a dotted path such as sklearn.tree.DecisionTreeClassifier.",
            )
        kind: Any = known[name]
    else:
        kind = _import(path, module, name)
    if not (inspect.isclass(kind) and hasattr(kind, "fit") and hasattr(kind, "get_params")):
        raise ConfigurationError(
            "not_an_estimator",
            f"{path!r} is not a scikit-learn estimator class.",
            "Give the dotted path of a class with fit and predict.",
        )
    try:
        return kind(**(params or {}))
    except (TypeError, NotImplementedError) as error:
        known_names = [p for p in inspect.signature(kind).parameters if p != "kwargs"]
        wrong = next((k for k in params or {} if k not in known_names), None)
        if wrong is None:
            raise ConfigurationError(
                "not_an_estimator", f"{path!r} cannot be built: {error}."
            ) from error
        raise ConfigurationError(
            "unknown_estimator_parameter",
            f"{kind.__name__} has no parameter {wrong!r}.{nearest(wrong, known_names)}",
            f"Parameters are: {', '.join(known_names)}.",
        ) from error


def _import(path: str, module: str, name: str) -> Any:
    try:
        found = import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            "unknown_estimator",
            f"The module {module!r} of the estimator {path!r} cannot be imported ({error}).",
            "pip install 'sparkml_dist[boost]'"
            if module.partition(".")[0] in PACKAGES
            else "Give a dotted path such as sklearn.tree.DecisionTreeClassifier.",
        ) from error
    if not hasattr(found, name):
        raise ConfigurationError(
            "unknown_estimator",
            f"{module} has no {name!r}.{nearest(name, dir(found))}",
            "Give a dotted path such as sklearn.tree.DecisionTreeClassifier.",
        )
    return getattr(found, name)


def refuse_unusable(learner: Any, *, voting: str, task: Task = "classification") -> Traits:
    """Return a learner's traits; raise if it cannot be a member.

    Parameters
    ----------
    learner : scikit-learn estimator
    voting : {"soft", "hard"}
        Soft voting needs probabilities; ignored for a regression.
    task : {"classification", "regression"}, default="classification"

    Raises
    ------
    ConfigurationError
        ``not_a_classifier``, ``not_a_regressor``, ``invalid_estimator_parameter``,
        ``not_in_a_module`` or ``no_probabilities``.
    """
    from sklearn.base import is_classifier, is_regressor

    wanted = "regressor" if task == "regression" else "classifier"
    if inspect.isclass(learner):
        raise ConfigurationError(
            "not_an_estimator",
            f"estimator must be an instance. Got the class {learner.__name__}.",
            f"Write {learner.__name__}().",
        )
    if not (hasattr(learner, "fit") and hasattr(learner, "get_params")):
        raise ConfigurationError(
            "not_an_estimator",
            f"estimator must be a scikit-learn {wanted}. Got {type(learner).__name__}.",
        )
    refuse_unusable_boosters(learner, wanted)
    if task == "regression" and not is_regressor(learner):
        raise ConfigurationError(
            "not_a_regressor",
            f"estimator must be a regressor. Got {type(learner).__name__}, which is not.",
            "Use a regressor such as sklearn.tree.DecisionTreeRegressor.",
        )
    if task == "classification" and not is_classifier(learner):
        raise ConfigurationError(
            "not_a_classifier",
            f"estimator must be a classifier. Got {type(learner).__name__}, which is not.",
            "Use a classifier such as sklearn.tree.DecisionTreeClassifier.",
        )
    if hasattr(learner, "_parameter_constraints"):
        try:
            learner._validate_params()
        except ValueError as error:
            raise ConfigurationError("invalid_estimator_parameter", str(error)) from error
    refuse_unimportable(learner)
    traits = Traits.of(learner)
    if task == "classification" and voting == "soft" and not traits.probabilistic:
        raise ConfigurationError(
            "no_probabilities",
            f"Soft voting and scores of probabilities need predict_proba, which {traits.name} does "
            "not have.",
            "Use voting='hard', or metric='accuracy' in a search, or wrap it in "
            "sklearn.calibration.CalibratedClassifierCV.",
        )
    return traits


def modules_of(learner: Any) -> set[str]:
    """Return the top-level packages of a learner and of everything it is made of."""
    found = set()
    for *_, value in parts(learner):
        kind = value if inspect.isroutine(value) or inspect.isclass(value) else type(value)
        found.add(str(getattr(kind, "__module__", None)).partition(".")[0])
    return found - {"None", "builtins"}


def prepare(learner: Any, random_state: int, cores: int, *, categories: Sequence[int] = ()) -> Any:
    """Return an unfitted copy with every ``random_state`` and ``n_jobs`` in it set.

    ``memory`` is removed: it would pickle what it caches to disk. Boosters, which take all cores by
    default, get the threads of the task, a seed, and are silent.

    Parameters
    ----------
    learner : scikit-learn estimator
    random_state : int
    cores : int
        Value for every ``n_jobs`` that is set, and for the threads of boosters.
    categories : sequence of int, length n_features
        Number of categories of each feature, 0 for numeric ones. They are passed to a learner whose
        parameter ``categorical_features`` has its default, for features with at most 255
        categories; and to XGBoost as ``feature_types``.
    """
    fresh = _cloned(learner)
    rng = np.random.RandomState(random_state)
    settings: dict[str, Any] = {}
    for name, value in sorted(fresh.get_params(deep=True).items(), key=lambda item: item[0]):
        if isinstance(value, str) and value == "deprecated":
            continue  # scikit-learn warns of any other value
        if name == "random_state":
            settings[name] = random_state
        elif name.endswith("__random_state"):
            settings[name] = int(rng.randint(np.iinfo(np.int32).max))
        elif (name == "n_jobs" or name.endswith("__n_jobs")) and value is not None:
            settings[name] = cores  # None already means one job, and is deprecated in some learners
        elif (name == "memory" or name.endswith("__memory")) and value is not None:
            settings[name] = None
    settings |= running_settings(fresh, random_state, cores)
    categorical = [i for i, n in enumerate(categories) if 0 < n <= _MOST_CATEGORIES]
    if any(categories) and booster_package(fresh) == "xgboost" and takes_categories(fresh):
        settings["enable_categorical"] = True
        settings["feature_types"] = ["c" if n else "q" for n in categories]
    elif categorical and fresh.get_params(deep=False).get("categorical_features") == "from_dtype":
        settings["categorical_features"] = categorical
    return fresh.set_params(**settings) if settings else fresh


def _cloned(learner: Any) -> Any:
    """Return an unfitted copy.

    scikit-learn's `clone` refuses a CatBoost learner with a list among its parameters, because
    CatBoost copies the list.
    """
    from sklearn.base import clone
    from sklearn.pipeline import Pipeline

    if booster_package(learner) == "catboost":
        return type(learner)(**learner.get_params())
    if not isinstance(learner, Pipeline) or booster_package(last_step(learner)) != "catboost":
        return clone(learner)
    name, last = learner.steps[-1]
    empty = Pipeline([*learner.steps[:-1], (name, "passthrough")], memory=learner.memory)
    vars(empty).update({k: v for k, v in vars(learner).items() if k not in ("steps", "memory")})
    return clone(empty).set_params(**{name: _cloned(last)})
