"""Params of the estimators of linear models."""

from __future__ import annotations

import math
from typing import Any

from pyspark.ml.param import TypeConverters

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.params import AccessibleParams, param
from sparkml_dist.statistics.glm_problem import COVARIANCES, FACTORIZATIONS, SOLVERS

__all__ = ["HasLinear"]

_HANDLING = ("error", "skip", "mean")
_FORMS = ("auto", "jobs", "gang")
_WEIGHTS = ("frequency", "precision")
_CHOICES = {
    "covType": COVARIANCES,
    "solver": SOLVERS,
    "factorization": FACTORIZATIONS,
    "handleInvalid": _HANDLING,
    "form": _FORMS,
    "weightType": _WEIGHTS,
}
# Least and greatest value; whether the ends belong to the range.
_RANGES: dict[str, tuple[float, float, bool, bool]] = {
    "alpha": (0, math.inf, True, False),
    "l1Ratio": (0, 1, True, True),
    "maxIter": (1, math.inf, True, False),
    "tol": (0, 1, False, False),
    "confidenceLevel": (0, 1, False, False),
    "maxCategories": (2, math.inf, True, False),
    "numRanks": (1, math.inf, True, False),
    "numFolds": (2, math.inf, True, False),
}


class HasLinear(AccessibleParams):
    """Params of the penalty, the solver, the standard errors, and the gang."""

    alpha: Any = param(
        "alpha",
        "strength of the penalty alpha * (l1Ratio * |b| + (1 - l1Ratio) / 2 * b**2) on the mean "
        "loss of a row (>= 0)",
        TypeConverters.toFloat,
    )
    l1Ratio: Any = param(
        "l1Ratio", "share of the penalty on absolute values (>= 0, <= 1)", TypeConverters.toFloat
    )
    alphas: Any = param(
        "alphas",
        "strengths of which cross-validation chooses one; alpha alone when not set",
        TypeConverters.toListFloat,
    )
    numFolds: Any = param(
        "numFolds",
        "folds of the cross-validation, by hashes of the keys (>= 2)",
        TypeConverters.toInt,
    )
    standardization: Any = param(
        "standardization",
        "whether the penalty treats columns as if their standard deviation were 1",
        TypeConverters.toBoolean,
    )
    fitIntercept: Any = param(
        "fitIntercept", "whether there is an intercept", TypeConverters.toBoolean
    )
    covType: Any = param(
        "covType", f"kind of standard errors: {', '.join(COVARIANCES)}", TypeConverters.toString
    )
    solver: Any = param("solver", f"one of {', '.join(SOLVERS)}", TypeConverters.toString)
    factorization: Any = param(
        "factorization",
        "'gram' (fast), 'qr' (for columns that almost depend on each other), or 'auto' by the "
        "condition number",
        TypeConverters.toString,
    )
    maxIter: Any = param("maxIter", "most iterations of the solver (>= 1)", TypeConverters.toInt)
    tol: Any = param(
        "tol",
        "length of a Newton step in standard errors, or share of the first gradient, at which the "
        "solver ends (> 0, < 1)",
        TypeConverters.toFloat,
    )
    dropCollinear: Any = param(
        "dropCollinear",
        "whether columns that are linear combinations of others, or constant, are left out",
        TypeConverters.toBoolean,
    )
    handleInvalid: Any = param(
        "handleInvalid",
        "rows with missing values: 'error', 'skip' (leave them out), or 'mean' (of the column)",
        TypeConverters.toString,
    )
    weightType: Any = param(
        "weightType",
        "'frequency' (a weight counts rows) or 'precision' (a row is one, its variance divided by "
        "the weight)",
        TypeConverters.toString,
    )
    maxCategories: Any = param(
        "maxCategories", "most categories of a column (>= 2)", TypeConverters.toInt
    )
    confidenceLevel: Any = param(
        "confidenceLevel", "level of confidence intervals (> 0, < 1)", TypeConverters.toFloat
    )
    form: Any = param(
        "form",
        "'jobs' (a Spark job for each pass over the rows), 'gang' (ranks keep the rows in memory), "
        "or 'auto'",
        TypeConverters.toString,
    )
    numRanks: Any = param(
        "numRanks",
        "ranks of a gang (>= 1); as many as there are task slots when not set",
        TypeConverters.toInt,
    )

    def _check_linear(self) -> None:
        """Raise unless every Param has a value that it can have, and they fit together.

        Raises
        ------
        ConfigurationError
            ``invalid_param`` or ``conflicting_params``.
        """
        for name, choices in _CHOICES.items():
            value = self.getOrDefault(self.getParam(name))
            if value not in choices:
                raise ConfigurationError(
                    "invalid_param", f"{name} must be one of {', '.join(choices)}. Got {value!r}."
                )
        for name, (least, most, closed, closed_above) in _RANGES.items():
            value = self._value(self.getParam(name))
            if value is None:
                continue
            above = value >= least if closed else value > least
            below = value <= most if closed_above else value < most
            if not (above and below):
                raise ConfigurationError(
                    "invalid_param",
                    f"{name} must be {'>=' if closed else '>'} {least:g}"
                    + (f" and {'<=' if closed_above else '<'} {most:g}" if most < math.inf else "")
                    + f". Got {value}.",
                )
        self._check_penalty()

    def _check_penalty(self) -> None:
        alphas = self._value(self.alphas)
        if alphas is not None and not (alphas and all(0 <= a < math.inf for a in alphas)):
            raise ConfigurationError(
                "invalid_param", f"alphas must be numbers >= 0, one at least. Got {alphas!r}."
            )
        penalized = self.getOrDefault(self.alpha) > 0 or alphas is not None
        if penalized and self.getOrDefault(self.covType) != "nonrobust":
            raise ConfigurationError(
                "conflicting_params",
                f"covType is {self.getOrDefault(self.covType)!r}, but a model with a penalty has "
                "no standard errors.",
                "Set alpha=0, or leave covType at its default.",
            )
        if self.isSet(self.l1Ratio) and self.getOrDefault(self.l1Ratio) and not penalized:
            raise ConfigurationError(
                "conflicting_params",
                "l1Ratio is set, but has no effect: there is no penalty.",
                "Set alpha > 0, or alphas.",
            )
