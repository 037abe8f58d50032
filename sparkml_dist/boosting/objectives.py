"""XGBoost's objectives and metrics that the estimators accept, and those for functions of users."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from sparkml_dist.errors import ConfigurationError, nearest

__all__ = [
    "check_metrics",
    "check_objective_fits",
    "default_metric",
    "dotted_name",
    "is_larger_better",
    "objective_name",
    "resolve_objective",
]

_BINARY, _SEVERAL = "binary:logistic", "multi:softprob"
_CLASSES = (_BINARY, _SEVERAL)
_NUMBERS = (
    "reg:squarederror",
    "reg:squaredlogerror",
    "reg:pseudohubererror",
    "reg:absoluteerror",
    "reg:quantileerror",
    "reg:logistic",
    "reg:gamma",
    "reg:tweedie",
    "count:poisson",
)
_DEFAULT_METRICS = {
    _BINARY: "logloss",
    _SEVERAL: "mlogloss",
    "reg:squaredlogerror": "rmsle",
    "reg:pseudohubererror": "mphe",
    "reg:absoluteerror": "mae",
    "reg:quantileerror": "quantile",
    "reg:gamma": "gamma-nloglik",
    "reg:tweedie": "tweedie-nloglik",
    "count:poisson": "poisson-nloglik",
}
_CLASS_METRICS = ("logloss", "error", "auc", "aucpr", "mlogloss", "merror")
_NUMBER_METRICS = (
    *("rmse", "rmsle", "mae", "mape", "mphe", "logloss", "quantile"),
    *("poisson-nloglik", "gamma-nloglik", "gamma-deviance", "tweedie-nloglik"),
)
_LARGER = ("auc", "aucpr")


def resolve_objective(value: Any, *, regression: bool) -> str | Callable[..., Any] | None:
    """Return the objective that a Param names.

    Parameters
    ----------
    value : str, callable or None
        One of XGBoost's objectives; a function ``f(margin, dmatrix)`` that returns gradient and
        hessian; or the dotted path of such a function, ``"package.module.function"``.
    regression : bool
        Whether the label is a number.

    Returns
    -------
    str, callable or None
        None for the default of the task.

    Raises
    ------
    ConfigurationError
        ``unknown_objective``.
    """
    if value is None or callable(value):
        return value
    known = _NUMBERS if regression else _CLASSES
    if value in known:
        return str(value)
    module, _, name = str(value).rpartition(".")
    if module and ":" not in str(value):
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise ConfigurationError(
                "unknown_objective",
                f"objective {value!r} cannot be imported: {error}.",
                "Give the dotted path of a function in an installed module, or the function "
                "itself.",
            ) from error
        if callable(found):
            return found
    raise ConfigurationError(
        "unknown_objective",
        f"objective must be a function, its dotted path, or one of {', '.join(known)}. "
        f"Got {value!r}.{nearest(str(value), known)}",
    )


def objective_name(value: str | Callable[..., Any] | None, n_classes: int) -> str:
    """Return XGBoost's objective for a number of classes, 0 for a regression.

    A function replaces the gradients; what it is given, and what is predicted, has the link of the
    task's own objective: logistic, softmax, or none.
    """
    if n_classes:
        return _SEVERAL if n_classes > 2 else _BINARY
    return value if isinstance(value, str) else _NUMBERS[0]


def check_objective_fits(value: str | Callable[..., Any] | None, n_classes: int) -> None:
    """Raise if an objective that is named is for another number of classes."""
    if isinstance(value, str) and n_classes and value != objective_name(value, n_classes):
        raise ConfigurationError(
            "unknown_objective",
            f"objective {value!r} does not fit a label of {n_classes} classes.",
            f"It takes {objective_name(None, n_classes)!r}, which is the default.",
        )


def dotted_name(value: str | Callable[..., Any] | None) -> str | None:
    """Return the text that stands for an objective: its name, or a function's dotted path."""
    if value is None or isinstance(value, str):
        return value
    kind = type(value)
    module = getattr(value, "__module__", kind.__module__)
    return f"{module}.{getattr(value, '__qualname__', kind.__qualname__)}"


def default_metric(objective: str) -> str:
    """Return the metric of an objective."""
    return _DEFAULT_METRICS.get(objective, "rmse")


def check_metrics(names: Sequence[str], *, regression: bool, n_classes: int | None = None) -> None:
    """Raise unless XGBoost has these metrics for the task.

    Parameters
    ----------
    names : sequence of str
    regression : bool
    n_classes : int, optional
        Number of classes, once it is known.

    Raises
    ------
    ConfigurationError
        ``unknown_metric``.
    """
    known: Sequence[str] = _NUMBER_METRICS if regression else _CLASS_METRICS
    if n_classes is not None and n_classes > 2:
        known = ("mlogloss", "merror", "auc")
    elif n_classes is not None and n_classes:
        known = ("logloss", "error", "auc", "aucpr")
    for name in names:
        if name not in known:
            raise ConfigurationError(
                "unknown_metric",
                f"evalMetric must be among {', '.join(known)}. Got {name!r}."
                f"{nearest(str(name), known)}",
            )


def is_larger_better(metric: str) -> bool:
    """Tell whether larger values of a metric are better."""
    return metric in _LARGER
