"""Checks of a search's Params, before any job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sparkml_dist.dataset.columns import Task
from sparkml_dist.errors import ConfigurationError, nearest
from sparkml_dist.metrics.scores import check_score
from sparkml_dist.models.shard_estimator import ShardEstimator
from sparkml_dist.search.goal import QUANTITIES
from sparkml_dist.search.known_params import known_params
from sparkml_dist.search.pareto import check_constraints
from sparkml_dist.search.samplers.making import SAMPLERS
from sparkml_dist.search.schedulers.making import SCHEDULERS
from sparkml_dist.search.trial_learners import check_trial_learner
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["REFITS", "check_search", "named_estimators", "task_of"]

REFITS = ("best", "ensemble", "none")


def named_estimators(estimator: Any) -> dict[str | None, Any]:
    """Return a search's estimators by name; None for the only one."""
    if isinstance(estimator, list | tuple):
        return dict(estimator)
    return {None: estimator}


def task_of(estimator: Any) -> Task:
    """Return what the first estimator learns."""
    from sklearn.base import is_regressor

    if estimator is None:
        return "classification"
    try:
        first = next(iter(named_estimators(estimator).values()))
        if isinstance(first, ShardEstimator):
            return first._task
        return "regression" if is_regressor(first) else "classification"
    except (AttributeError, TypeError, ValueError, StopIteration):
        return "classification"


def check_search(search: Any, metrics: Sequence[str], spark: SparkSession) -> None:
    """Raise unless a search's Params are sound.

    Raises
    ------
    ConfigurationError
    """
    named = _checked_estimators(search._value(search.estimator))
    task = search._task
    for i, metric in enumerate(metrics):
        check_score(
            metric, "metrics" if i else "metric", regression=task == "regression", every=True
        )
    for learner in named.values():
        if isinstance(learner, ShardEstimator):
            _check_estimator(learner, search, spark)
        else:
            check_trial_learner(learner, task, metrics)
    if not search.isSet(search.space):
        raise ConfigurationError(
            "invalid_param",
            "space is not given.",
            "Pass space={'max_depth': [2, 4, 8]}, for example.",
        )
    _check_choices(search)
    _check_numbers(search)
    _check_resource(search.getOrDefault(search.resource), named)
    constraints = search._value(search.constraints)
    if constraints is not None:
        if not isinstance(constraints, Mapping):
            raise ConfigurationError(
                "invalid_param", f"constraints must be a dict of bounds. Got {constraints!r}."
            )
        check_constraints(constraints, QUANTITIES)
        if search.getOrDefault(search.refit) == "ensemble":
            raise ConfigurationError(
                "conflicting_params",
                "constraints bound single trials, and refit='ensemble' puts several together.",
                "Search with refit='best', or without constraints.",
            )
    if search.isSet(search.trialMemory):
        parse_size(search.getOrDefault(search.trialMemory), "trialMemory")


def _check_estimator(estimator: ShardEstimator, search: Any, spark: SparkSession) -> None:
    if estimator._task != search._task:
        raise ConfigurationError(
            "task_differs",
            f"{type(estimator).__name__} is for a {estimator._task}, other estimators for a "
            f"{search._task}.",
            "Search among estimators for one task.",
        )
    if search.getOrDefault(search.refit) == "ensemble":
        raise ConfigurationError(
            "conflicting_params",
            f"refit='ensemble' chooses among members of learners; {type(estimator).__name__} is "
            "not one.",
            "Use refit='best', and combine fitted models with sparkml_dist.vote.",
        )
    estimator._check_params(spark)


def _checked_estimators(estimator: Any) -> dict[str | None, Any]:
    if estimator is None:
        raise ConfigurationError(
            "no_estimator",
            "HyperparameterSearch needs an estimator.",
            "Pass estimator=sklearn.tree.DecisionTreeClassifier(), for example.",
        )
    if not isinstance(estimator, list | tuple):
        return {None: estimator}
    if not estimator:
        raise ConfigurationError("no_estimator", "estimator is an empty list.", "Name a learner.")
    for entry in estimator:
        if not (isinstance(entry, list | tuple) and len(entry) == 2 and isinstance(entry[0], str)):
            raise ConfigurationError(
                "invalid_param",
                f"estimator must be a learner, or a list of (name, learner). Got {entry!r} in it.",
            )
    names = [name for name, _ in estimator]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(
                "duplicate_names",
                f"Two estimators have the name {name!r}.",
                "Give each a name of its own.",
            )
    return dict(estimator)


def _check_choices(search: Any) -> None:
    for name, known in (("sampler", SAMPLERS), ("scheduler", SCHEDULERS), ("refit", REFITS)):
        value = search.getOrDefault(search.getParam(name))
        if value not in known:
            raise ConfigurationError(
                "invalid_param",
                f"{name} must be one of {', '.join(known)}. Got {value!r}.{nearest(value, known)}",
            )


def _check_numbers(search: Any) -> None:
    for name, least in (
        ("numTrials", 1),
        ("parallelism", 1),
        ("minResource", 1),
        ("maxResource", 1),
        ("numFolds", 2),
        ("ensembleSize", 1),
    ):
        value = search._value(search.getParam(name))
        if value is not None and value < least:
            raise ConfigurationError("invalid_param", f"{name} must be >= {least}. Got {value}.")
    for name in ("timeBudget", "trialTimeout"):
        value = search._value(search.getParam(name))
        if value is not None and not value > 0:
            raise ConfigurationError(
                "invalid_param", f"{name} must be a number of seconds > 0. Got {value:g}."
            )
    low, high = search._value(search.minResource), search._value(search.maxResource)
    if low is not None and high is not None and low > high:
        raise ConfigurationError(
            "invalid_param", f"minResource must be <= maxResource. Got {low} > {high}."
        )
    factor = search.getOrDefault(search.reductionFactor)
    if not factor > 1:
        raise ConfigurationError("invalid_param", f"reductionFactor must be > 1. Got {factor:g}.")
    fraction = search.getOrDefault(search.validationFraction)
    if not 0 < fraction < 1:
        raise ConfigurationError(
            "invalid_param", f"validationFraction must be between 0 and 1. Got {fraction:g}."
        )


def _check_resource(resource: str, named: Mapping[str | None, Any]) -> None:
    if resource in ("shards", "rows"):
        return
    for learner in named.values():
        known = known_params(learner)
        if resource not in known:
            raise ConfigurationError(
                "invalid_param",
                f"resource must be 'shards', 'rows' or a parameter of the estimator. "
                f"{type(learner).__name__} has no parameter {resource!r}."
                f"{nearest(resource, [*known, 'shards', 'rows'])}",
            )
