"""A one-class machine: finds rows unlike those that it was fitted on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasPredictionCol

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.kernels.clusters.embedding import degree_sums
from sparkml_dist.kernels.feature_estimator import RowsEstimator
from sparkml_dist.kernels.kernel_params import HasCenters, check_number
from sparkml_dist.kernels.nystroem_map import NystroemMap
from sparkml_dist.kernels.one_class_model import HasScoreCol, OneClassMachineModel
from sparkml_dist.kernels.one_class_solver import OneClassSolution, loss_of_block, one_class
from sparkml_dist.kernels.ridge.normal_equations import no_rows
from sparkml_dist.kernels.settings import centered
from sparkml_dist.params import constructor, param

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["OneClassMachine"]

_USUAL_ITERATIONS = 40


class OneClassMachine(RowsEstimator, HasCenters, HasScoreCol, HasPredictionCol):
    """Learns where rows are usual; others are novel (a one-class support vector machine).

    The function of the kernel that separates most rows from the origin best, on Nyström's
    features, by L-BFGS with a pass over the rows for each step. The loss's corner is rounded, so
    that up to `contamination` of the training rows score above 0, and some fewer.

    Parameters
    ----------
    contamination : float, default=0.1
        Share of the training rows that may lie outside, in (0, 0.5]; ``nu`` of a one-class machine.
    maxIter : int, default=100
    tol : float, default=1e-3
        Relative gradient at which to stop.
    numCenters, centerMethod, centers, kernel, lengthScale, nu, degree, standardization, missing, \
featuresCol, featuresCols, seed
        As for `NystroemFeatures`; `nu` is the smoothness of the Matérn kernel.
    scoreCol : str, default="outlierScore"
        Column for the score; higher is more novel, and 0 is the border.
    predictionCol : str, default="prediction"
        Column with 1 for novel rows and 0 for others.

    References
    ----------
    Schölkopf, Platt, Shawe-Taylor, Smola, Williamson (2001), "Estimating the support of a
    high-dimensional distribution".

    Examples
    --------
    >>> usual = iris.where("petal_length < 2")
    >>> machine = OneClassMachine(numCenters=5, maxIter=20, featuresCols=["petal_length"])
    >>> found = machine.fit(usual).transform(iris.where("petal_length > 4"))
    >>> found.where("prediction = 1").count() == found.count()
    True
    """

    contamination: Any = param(
        "contamination",
        "share of the training rows that may lie outside, in (0, 0.5]",
        TypeConverters.toFloat,
    )
    maxIter: Any = param("maxIter", "most iterations (>= 1)", TypeConverters.toInt)
    tol: Any = param("tol", "relative gradient at which to stop (> 0)", TypeConverters.toFloat)

    @constructor
    def __init__(
        self,
        *,
        contamination: float = 0.1,
        maxIter: int = 100,
        tol: float = 1e-3,
        numCenters: int = 256,
        centerMethod: str = "uniform",
        centers: Sequence[Sequence[float]] | None = None,
        kernel: str = "rbf",
        lengthScale: float | str = "median",
        nu: float = 1.5,
        degree: int = 1,
        standardization: bool = True,
        missing: str = "error",
        featuresCols: Sequence[str] | None = None,
        featuresCol: str = "features",
        scoreCol: str = "outlierScore",
        predictionCol: str = "prediction",
        seed: int = 0,
    ) -> None: ...

    def _check(self) -> None:
        """Raise `ConfigurationError` for invalid Params."""
        self._kernel_settings()
        self._center_settings()
        share = self.getOrDefault(self.contamination)
        if not 0 < share <= 0.5:
            raise ConfigurationError(
                "invalid_param", f"contamination must be in (0, 0.5]. Got {share!r}."
            )
        check_number("maxIter", self.getOrDefault(self.maxIter), 1)
        check_number("tol", self.getOrDefault(self.tol), 0, closed=False)

    def _fit(self, dataset: DataFrame | PartitionedDataset) -> OneClassMachineModel:
        started = time.perf_counter()
        self._check()
        source = self._rows(dataset)
        found = centered(
            source,
            self._kernel_settings(),
            self._center_settings(),
            self.getOrDefault(self.seed),
        )
        features = NystroemMap.of(found)
        contamination, tol = self.getOrDefault(self.contamination), self.getOrDefault(self.tol)
        most = self.getOrDefault(self.maxIter)
        solved = OneClassSolution(
            **source.solve(
                _solve, (features, contamination, tol, most), min(most, _USUAL_ITERATIONS)
            )
        )
        assert features.whitening is not None
        arrays = {
            "centers": found.centers,
            "coefficients": features.whitening @ solved.weights,
            "offset": np.array([solved.offset]),
        }
        summary = {
            "outside": solved.outside,
            "passes": solved.passes,
            "residual": solved.gradient,
            "converged": solved.converged,
            "centers": len(found.centers),
            "length_scale": found.kernel.length_scale,
            "seconds": round(time.perf_counter() - started, 3),
        }
        model = OneClassMachineModel(source.schema, found.kernel, found.scaling, arrays, summary)
        model._set(
            predictionCol=self.getOrDefault(self.predictionCol),
            scoreCol=self.getOrDefault(self.scoreCol),
        )
        return model


def _solve(sums: Any, problem: tuple[NystroemMap, float, float, int]) -> dict[str, Any]:
    features, contamination, tol, max_iter = problem
    first = sums.add(degree_sums, (features,))
    if first["weight"] <= 0:
        raise no_rows()
    solved = one_class(
        lambda *parameters: sums.add(loss_of_block, (features, *parameters)),
        first["total"] / float(first["weight"]),
        contamination,
        tol=tol,
        max_iter=max_iter,
    )
    return vars(solved)
