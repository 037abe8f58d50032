"""The Params of the estimators of networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pyspark.ml.param import Params, TypeConverters

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.graphical.learning import MISSING, FitPlan
from sparkml_dist.graphical.learning_in_task import FORMS
from sparkml_dist.graphical.parameters import Prior
from sparkml_dist.graphical.structure_learning import StructurePlan
from sparkml_dist.params import param

__all__ = ["HasStructure", "HasStructureSearch", "pairs"]

ESTIMATIONS = ("bayesian", "maximum-likelihood")


def pairs(value: Any) -> list[list[str]]:
    """Convert a Param that holds pairs of names."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"{value!r} is not a list of pairs of names")
    found = []
    for pair in value:
        if (
            isinstance(pair, str)
            or not isinstance(pair, Sequence)
            or len(pair) != 2
            or not all(isinstance(name, str) for name in pair)
        ):
            raise TypeError(f"{pair!r} is not a pair of names")
        found.append(list(pair))
    return found


class HasStructureSearch(Params):
    """How a graph is learned, and what is done about missing values."""

    structure: Any = param(
        "structure",
        "how the graph is learned: chow-liu, naive-bayes, tan, hill-climbing, exact, pc or fixed",
        TypeConverters.toString,
    )
    score: Any = param(
        "score", "score of a graph: bic, aic, bdeu, k2 or loglik", TypeConverters.toString
    )
    equivalentSampleSize: Any = param(
        "equivalentSampleSize",
        "equivalent sample size of BDeu and of Bayesian estimation (> 0)",
        TypeConverters.toFloat,
    )
    maxParents: Any = param("maxParents", "most parents of a variable (>= 1)", TypeConverters.toInt)
    tabuLength: Any = param(
        "tabuLength",
        "number of graphs that hill climbing does not visit again (>= 0)",
        TypeConverters.toInt,
    )
    numRestarts: Any = param(
        "numRestarts", "searches over orders of the variables (>= 0)", TypeConverters.toInt
    )
    whiteList: Any = param("whiteList", "arcs (parent, child) that the graph must have", pairs)
    blackList: Any = param("blackList", "arcs (parent, child) that the graph must not have", pairs)
    handleInvalid: Any = param(
        "handleInvalid", "missing values: error, skip or em", TypeConverters.toString
    )
    maxIter: Any = param("maxIter", "most steps of EM (>= 1)", TypeConverters.toInt)
    tol: Any = param(
        "tol",
        "EM ends when the log-likelihood rises by less than this share of itself (>= 0)",
        TypeConverters.toFloat,
    )

    form: Any = param(
        "form",
        "'jobs' (a Spark job for each pass over the rows), 'task' (one task holds the rows and "
        "learns), or 'auto'",
        TypeConverters.toString,
    )

    def _structure_plan(self, **more: Any) -> StructurePlan:
        """Return the plan of the structure, checked but for names."""
        value: Any = self.getOrDefault
        if value(self.form) not in FORMS:
            raise ConfigurationError(
                "invalid_param",
                f"form must be one of {', '.join(FORMS)}. Got {value(self.form)!r}.",
            )
        optional: Any = self._value  # type: ignore[attr-defined]
        plan = StructurePlan(
            structure=value(self.structure),
            score=value(self.score),
            sample_size=value(self.equivalentSampleSize),
            max_parents=value(self.maxParents),
            tabu=value(self.tabuLength),
            restarts=value(self.numRestarts),
            seed=value(self.getParam("seed")),
            white=optional(self.whiteList),
            black=optional(self.blackList),
            **more,
        )
        plan.check()
        return plan

    def _check_missing_values(self) -> None:
        """Raise for settings of missing values and EM that do not exist.

        Raises
        ------
        ConfigurationError
            ``invalid_param``.
        """
        value: Any = self.getOrDefault
        if value(self.handleInvalid) not in MISSING:
            raise ConfigurationError(
                "invalid_param",
                f"handleInvalid must be one of {', '.join(MISSING)}. "
                f"Got {value(self.handleInvalid)!r}.",
            )
        if value(self.maxIter) < 1:
            raise ConfigurationError(
                "invalid_param", f"maxIter must be at least 1. Got {value(self.maxIter)}."
            )
        tol = value(self.tol)
        if not (math.isfinite(tol) and tol >= 0):
            raise ConfigurationError("invalid_param", f"tol must be >= 0. Got {tol!r}.")


class HasStructure(HasStructureSearch):
    """How a graph without a class, and its parameters, are learned."""

    featuresCols: Any = param(
        "featuresCols",
        "columns of the variables, by name or glob; all columns when not set",
        TypeConverters.toListString,
    )
    targetCol: Any = param(
        "targetCol",
        "the class of naive-bayes and tan; the root of a chow-liu tree",
        TypeConverters.toString,
    )
    test: Any = param("test", "test of independence: x2, g2 or mi", TypeConverters.toString)
    alpha: Any = param(
        "alpha", "level of a test, or false discovery rate (in (0, 1))", TypeConverters.toFloat
    )
    correction: Any = param(
        "correction",
        "correction for many tests: none or benjamini-hochberg",
        TypeConverters.toString,
    )
    estimation: Any = param(
        "estimation", "of probabilities: bayesian or maximum-likelihood", TypeConverters.toString
    )
    numBootstraps: Any = param(
        "numBootstraps",
        "bootstrap samples for the strengths of arcs (>= 0)",
        TypeConverters.toInt,
    )

    def _fit_plan(self) -> FitPlan:
        """Return the plan of a fit.

        Raises
        ------
        ConfigurationError
            ``invalid_param``, and those of `StructurePlan.check`.
        """
        value: Any = self.getOrDefault
        optional: Any = self._value  # type: ignore[attr-defined]
        structure = self._structure_plan(
            test=value(self.test),
            alpha=value(self.alpha),
            correction=value(self.correction),
            target=optional(self.targetCol),
        )
        self._check_missing_values()
        estimation, replicates = value(self.estimation), value(self.numBootstraps)
        if estimation not in ESTIMATIONS:
            raise ConfigurationError(
                "invalid_param",
                f"estimation must be one of {', '.join(ESTIMATIONS)}. Got {estimation!r}.",
            )
        if replicates < 0:
            raise ConfigurationError(
                "invalid_param", f"numBootstraps must be >= 0. Got {replicates}."
            )
        bayesian = estimation == "bayesian"
        return FitPlan(
            structure,
            Prior("bdeu", structure.sample_size) if bayesian else Prior(),
            value(self.handleInvalid),
            value(self.maxIter),
            value(self.tol),
            replicates,
        )
