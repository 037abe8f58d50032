"""A PySpark estimator of Gaussian networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasSeed

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.graphical.gaussian.gaussian_graph import GaussianGraph
from sparkml_dist.graphical.gaussian.gaussian_model import GaussianNetworkModel
from sparkml_dist.graphical.gaussian.gaussian_scores import (
    GAUSSIAN_SCORES,
    GaussianScoreName,
    GaussianScores,
)
from sparkml_dist.graphical.gaussian.moments import moments_of, numeric_columns
from sparkml_dist.graphical.structure_params import pairs
from sparkml_dist.graphical.structures.arc_limits import ArcLimits
from sparkml_dist.graphical.structures.hill_climbing import hill_climbing
from sparkml_dist.graphical.variables import Variable, Variables
from sparkml_dist.models.saved_params import SavedParams
from sparkml_dist.params import constructor, param

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["GaussianNetwork"]


class GaussianNetwork(SavedParams, HasSeed):
    """Learns a network of numbers, each linear in its parents with Gaussian noise.

    One pass over the rows finds means and covariances; everything else comes from these. The graph
    is searched by hill climbing, and by orders of the variables.

    Parameters
    ----------
    featuresCols : list of str, optional
        Columns of numbers, by name or glob; all of them by default.
    score : str, default="bic"
        ``"bic"``, ``"aic"`` or ``"loglik"``; a family has a parameter for each parent, the
        intercept and the variance. Variances are maximum-likelihood estimates.
    maxParents : int, default=5
    tabuLength : int, default=10
    numRestarts : int, default=1
    whiteList, blackList : list of pairs of str, optional
        As for `BayesianNetwork`.
    handleInvalid : str, default="error"
        Missing values: ``"error"``, or ``"skip"`` to leave such rows out.
    logLikelihoodCol : str, default="logLikelihood"
        Column that the model adds.
    seed : int, default=0

    References
    ----------
    Geiger, Heckerman (1994), "Learning Gaussian networks", UAI.

    Examples
    --------
    >>> model = GaussianNetwork(featuresCols=["petal*"]).fit(iris)
    >>> len(model.arcs)
    1
    >>> mean, covariance = model.query(["petal_width"], {"petal_length": 1.5})
    >>> round(float(mean[0]), 1)
    0.3
    """

    featuresCols: Any = param(
        "featuresCols",
        "columns of numbers, by name or glob; all of them when not set",
        TypeConverters.toListString,
    )
    score: Any = param("score", "score of a graph: bic, aic or loglik", TypeConverters.toString)
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
        "handleInvalid", "missing values: error or skip", TypeConverters.toString
    )
    logLikelihoodCol: Any = param(
        "logLikelihoodCol",
        "column for the logarithm of the density of a row's observed values",
        TypeConverters.toString,
    )

    @constructor
    def __init__(
        self,
        *,
        featuresCols: Sequence[str] | None = None,
        score: str = "bic",
        maxParents: int = 5,
        tabuLength: int = 10,
        numRestarts: int = 1,
        whiteList: Sequence[Sequence[str]] | None = None,
        blackList: Sequence[Sequence[str]] | None = None,
        handleInvalid: str = "error",
        logLikelihoodCol: str = "logLikelihood",
        seed: int = 0,
    ) -> None: ...

    def _fit(self, dataset: DataFrame) -> GaussianNetworkModel:
        value: Any = self.getOrDefault
        self._check()
        names = numeric_columns(dataset, self._value(self.featuresCols))
        variables = Variables(tuple(Variable(name, ("",)) for name in names))
        limits = ArcLimits.of(
            variables,
            self._value(self.whiteList),
            self._value(self.blackList),
            value(self.maxParents),
        )
        moments = moments_of(dataset, names)
        if moments.skipped and value(self.handleInvalid) == "error":
            raise DataError(
                "missing_values",
                f"{moments.skipped:,} row(s) have missing values.",
                'Set handleInvalid to "skip" (leave them out), or fill the values in.',
            )
        scores = GaussianScores(moments, cast("GaussianScoreName", value(self.score)))
        found = hill_climbing(
            scores,
            limits,
            tabu=value(self.tabuLength),
            restarts=value(self.numRestarts),
            seed=value(self.seed),
        )
        facts = {
            "rows": moments.rows,
            "skipped": moments.skipped,
            "score": found.score,
            "parameters": sum(len(of) + 2 for of in found.parents),
            "steps": found.steps,
            "families": found.families,
        }
        model = GaussianNetworkModel(GaussianGraph.fitted(moments, found.parents), facts)
        return model._set(logLikelihoodCol=value(self.logLikelihoodCol))

    def _check(self) -> None:
        value: Any = self.getOrDefault
        for name, known in (("score", GAUSSIAN_SCORES), ("handleInvalid", ("error", "skip"))):
            given = value(self.getParam(name))
            if given not in known:
                raise ConfigurationError(
                    "invalid_param", f"{name} must be one of {', '.join(known)}. Got {given!r}."
                )
        for name, least in (("maxParents", 1), ("tabuLength", 0), ("numRestarts", 0)):
            given = value(self.getParam(name))
            if given < least:
                raise ConfigurationError(
                    "invalid_param", f"{name} must be at least {least}. Got {given}."
                )
