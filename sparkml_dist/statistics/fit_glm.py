"""Fits a generalized linear model with sums over blocks; the steps of every fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.sums import Sums
from sparkml_dist.statistics.first_order import fit_first_order
from sparkml_dist.statistics.glm_problem import GlmProblem
from sparkml_dist.statistics.information_fit import InformationFit
from sparkml_dist.statistics.moments import first_moments
from sparkml_dist.statistics.overdispersion import estimated_overdispersion

__all__ = ["MOST_COLUMNS", "fit_glm", "uses_gram"]

Array = npt.NDArray[np.float64]

#: A Gram matrix of more columns than this is not formed by default.
MOST_COLUMNS = 4_096
# Columns whose condition number is greater are decomposed by QR: their Gram matrix has lost more
# than half of the digits.
_GRAM_CONDITION = 1e5
_GRAM_TOLERANCE, _QR_TOLERANCE = 1e-10, 1e-12
_MOST_TRIANGLES = 1 << 27  # values of all shards' triangles
_ROUNDS = 50


def uses_gram(problem: GlmProblem) -> bool:
    """Tell whether a fit forms the information matrix, which standard errors need."""
    if problem.solver == "auto":
        return len(problem.design.all_terms) <= MOST_COLUMNS
    return problem.solver == "newton"


def fit_glm(sums: Sums, problem: GlmProblem) -> dict[str, Any]:
    """Fit a generalized linear model.

    Parameters
    ----------
    sums : Sums
    problem : GlmProblem

    Returns
    -------
    dict
        ``coefficients``, ``covariance`` (None with a penalty or without an information matrix),
        ``dropped``, and facts about the fit.

    Raises
    ------
    DataError
        ``missing_values``, ``target_not_of_family``, ``constant_feature``,
        ``collinear_features``, ``perfect_separation`` and others of the checks.
    """
    label = sums.data.manifest.label.column
    moments, design = first_moments(sums, problem, label)
    if not uses_gram(problem):
        return fit_first_order(sums, replace(problem, design=design), moments)
    family, overdispersion_rounds = problem.family, 0
    fit = InformationFit(sums, replace(problem, design=design), moments, label)
    fit.prepare(family)
    result = fit.run(family, None)
    while problem.estimate_overdispersion:
        overdispersion_rounds += 1
        new = estimated_overdispersion(sums, fit.design, family, result.beta)
        change = abs(new - family.overdispersion) / new
        family = replace(family, overdispersion=new)
        result = fit.run(family, result.beta)
        if change < 1e-9 or overdispersion_rounds >= _ROUNDS:
            break
    return fit.finished(family, result)
