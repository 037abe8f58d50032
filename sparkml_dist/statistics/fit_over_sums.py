"""Fits a linear model over sums that somebody else forms, and saves it as any other one."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sparkml_dist.dataset.block_solver import Solved
from sparkml_dist.dataset.sums import Sums
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.saved_folder import begin_fit
from sparkml_dist.statistics.design import Design
from sparkml_dist.statistics.fit_glm import MOST_COLUMNS
from sparkml_dist.statistics.glm_problem import GlmProblem
from sparkml_dist.statistics.linear_estimator import LinearEstimator
from sparkml_dist.statistics.linear_model import LinearModel

__all__ = ["checked_problem", "fit_over_sums"]


def checked_problem(estimator: LinearEstimator, data: Any) -> GlmProblem:
    """Return what an estimator's Params ask for, with Newton's method as the solver.

    Parameters
    ----------
    estimator : LinearEstimator
    data : object
        With ``schema``, ``layout``, ``shards``, and a ``manifest`` that has ``label``, ``key`` and
        ``missing_features``, as a `PartitionedDataset` has them.

    Raises
    ------
    ConfigurationError
        ``invalid_param``, ``conflicting_params``, ``link_not_of_family`` or ``task_differs``.
    DataError
        As the estimator's fit raises by what `data` tells.
    """
    estimator._check_linear()
    estimator._family()
    if data.manifest.label.is_regression != (estimator._task == "regression"):
        other = "regression" if data.manifest.label.is_regression else "classification"
        raise ConfigurationError(
            "task_differs",
            f"{type(estimator).__name__} is for a {estimator._task}, and the label "
            f"{data.manifest.label.column!r} is that of a {other}.",
            f"Give the label as that of a {estimator._task}.",
        )
    estimator._check_data(data)
    problem = replace(estimator._problem(data), solver="newton")
    columns = len(problem.design.all_terms)
    if columns > MOST_COLUMNS:
        raise ConfigurationError(
            "invalid_param",
            f"The model would have {columns:,} coefficients; sums of products of more than "
            f"{MOST_COLUMNS:,} are not formed here.",
            "Choose fewer features.",
        )
    label = data.manifest.label
    if not label.is_regression and len(label.classes) > 2 and problem.covariance != "nonrobust":
        raise ConfigurationError(
            "conflicting_params",
            f"covType={problem.covariance!r} is for two classes here; there are "
            f"{len(label.classes)}.",
            "Leave covType at its default.",
        )
    if problem.covariance == "cluster":
        problem = replace(problem, clusters=np.arange(len(data.shards)))
    return problem


def fit_over_sums(
    estimator: LinearEstimator,
    sums_of: Callable[[Design], Sums],
    data: Any,
    *,
    form: str,
    facts: Callable[[], Mapping[str, Any]],
) -> LinearModel:
    """Return the model of an estimator over sums, saved in its `modelDir` or a temporary folder.

    Parameters
    ----------
    estimator : LinearEstimator
    sums_of : callable
        Returns the sums for a design.
    data : object
        As for `checked_problem`.
    form : str
        How sums are formed, for the summary.
    facts : callable
        Returns what the summary has besides, after the fit.
    """
    problem = checked_problem(estimator, data)
    solve = estimator._solve(data)
    begun = time.perf_counter()
    found = dict(solve(sums_of(problem.design), problem))
    solved = Solved({**found, **facts()}, form, len(data.shards), [], time.perf_counter() - begun)
    plan = {"class": type(estimator).__name__, "form": form, **problem.to_dict()}
    where = estimator._value(estimator.modelDir)
    if where is None:
        path = tempfile.mkdtemp(prefix="sparkml_dist-model-")
        atexit.register(shutil.rmtree, path, ignore_errors=True)
        where = path
    home = begin_fit(
        Folder.at(where),
        json.loads(json.dumps(plan)),
        overwrite=estimator.getOrDefault(estimator.overwrite),
        resume=False,
    )
    model = estimator._model(data, home.content, problem, solved, None, 0.0)
    for output in model.params:
        if estimator.hasParam(output.name):
            given = estimator.getParam(output.name)
            if estimator.isDefined(given):
                model._set(**{output.name: estimator.getOrDefault(given)})
    model._save_manifest(home)
    return model
