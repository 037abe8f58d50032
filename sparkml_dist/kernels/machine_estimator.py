"""Base of the machines on centres over shards: ridge and logistic regression on similarities."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from pyspark.ml.param import TypeConverters

from sparkml_dist.dataset.block_solver import Form
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.kernels.fourier_map import FourierMap, check_outputs_of
from sparkml_dist.kernels.kernel_params import HasCenters, check_number, check_option
from sparkml_dist.kernels.machine_files import write_machine
from sparkml_dist.kernels.machine_model import KernelMachineModel
from sparkml_dist.kernels.ridge.fit import SOLVERS, SolverSettings, Space, solve_machine, width_of
from sparkml_dist.kernels.ridge.targets import Targets
from sparkml_dist.kernels.row_source import ShardRows
from sparkml_dist.kernels.scaling import not_finite
from sparkml_dist.kernels.settings import centered, fitted_kernel, fitted_scaling
from sparkml_dist.models.shard_estimator import ShardEstimator
from sparkml_dist.params import param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["KernelMachine", "check_rows"]

#: How the kernel is approximated.
APPROXIMATIONS = ("nystroem", "fourier")


def check_rows(data: PartitionedDataset, centers: int, *, impute: bool) -> None:
    """Raise if rows are missing or incomplete, by the manifest alone.

    Raises
    ------
    DataError
        ``too_few_rows`` or ``not_finite``.
    """
    if centers > data.n_rows:
        raise DataError(
            "too_few_rows",
            f"numCenters is {centers:,}, but there are {data.n_rows:,} rows.",
            "Set a smaller numCenters.",
        )
    categories = data.schema.categorical_features  # a missing one is like no other
    missing = [i for i in data.manifest.missing_features if i not in categories]
    if missing and not impute:
        names = [data.feature_names[i] for i in missing]
        error = not_finite(sum(s.missing for s in data.shards), data.n_rows)
        shown = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
        raise DataError(
            error.code, f"There are missing values in the features {shown}.", error.hint
        )


class KernelMachine(ShardEstimator, HasCenters):
    """Base of the machines on centres; a subclass sets the class of its model."""

    approximation: Any = param(
        "approximation",
        "'nystroem': similarities to numCenters rows; 'fourier': numCenters random features",
        TypeConverters.toString,
    )
    alpha: Any = param(
        "alpha",
        "penalty on the squared norm of the function (> 0), beside the sum of losses over rows",
        TypeConverters.toFloat,
    )
    alphas: Any = param(
        "alphas",
        "penalties to try, of which the best on held-out rows is taken; in place of alpha",
        TypeConverters.toListFloat,
    )
    validationFraction: Any = param(
        "validationFraction",
        "share of the rows, chosen by their keys, that is held out to choose among alphas "
        "(> 0, < 1)",
        TypeConverters.toFloat,
    )
    fitIntercept: Any = param(
        "fitIntercept", "whether a constant without penalty is added", TypeConverters.toBoolean
    )
    solver: Any = param(
        "solver",
        "of the squared loss: 'direct' (normal equations from one pass), 'cg' (conjugate "
        "gradients, one pass each) or 'auto' (direct for up to 2,000 centres)",
        TypeConverters.toString,
    )
    tol: Any = param(
        "tol", "relative residual at which an iterative solver stops (> 0)", TypeConverters.toFloat
    )
    maxIter: Any = param(
        "maxIter", "most iterations of an iterative solver (>= 1)", TypeConverters.toInt
    )
    precision: Any = param(
        "precision",
        "'double', or 'single' for similarities of seven digits in half of the time",
        TypeConverters.toString,
    )

    form: Any = param(
        "form",
        "of an iterative solver: 'jobs' (a Spark job for each pass over the rows), 'gang' (ranks "
        "keep the rows in memory), or 'auto'",
        TypeConverters.toString,
    )
    numRanks: Any = param(
        "numRanks",
        "ranks of a gang (>= 1); as many as there are task slots when not set",
        TypeConverters.toInt,
    )

    _length_scales = ("median", "validation")
    #: Class of the fitted model.
    _model_class: ClassVar[type[KernelMachineModel]]

    def _loss(self) -> str:
        """Return the loss, ``"squared"`` or ``"logistic"``."""
        return "squared"

    # -- before any job -------------------------------------------------------------------

    def _check_params(self, spark: SparkSession) -> None:
        kernel = self._kernel_settings().kernel
        centers = self._center_settings()
        self._solver_settings()
        check_option("approximation", self.getOrDefault(self.approximation), APPROXIMATIONS)
        if self._is_random:
            check_outputs_of("numCenters", centers.number, kernel)
            if centers.given is not None:
                raise ConfigurationError(
                    "conflicting_params",
                    "Random features have no centers.",
                    "Set numCenters, or approximation='nystroem'.",
                )
        share = self.getOrDefault(self.validationFraction)
        if not 0 < share < 1:
            raise ConfigurationError(
                "invalid_param", f"validationFraction must be > 0 and < 1. Got {share!r}."
            )
        check_option("form", self.getOrDefault(self.form), get_args(Form))
        if (ranks := self._value(self.numRanks)) is not None:
            check_number("numRanks", ranks, 1)
        if (memory := self._value(self.memoryPerTask)) is not None:
            parse_size(memory, "memoryPerTask")

    @property
    def _is_random(self) -> bool:
        return bool(self.getOrDefault(self.approximation) == "fourier")

    def _solver_settings(self) -> SolverSettings:
        alphas = self._value(self.alphas)
        if alphas is not None and not alphas:
            raise ConfigurationError("invalid_param", "alphas must hold a number or more. Got [].")
        tried = tuple(dict.fromkeys(alphas or (self.getOrDefault(self.alpha),)))
        for value in tried:
            if not (value > 0 and math.isfinite(value)):
                name = "alpha" if alphas is None else "alphas"
                raise ConfigurationError(
                    "invalid_param",
                    f"{name} must be > 0. Got {value!r}.",
                    "Without a penalty the solution is not stable; take a small number.",
                )
        check_option("solver", self.getOrDefault(self.solver), SOLVERS)
        check_option("precision", self.getOrDefault(self.precision), ("double", "single"))
        check_number("tol", self.getOrDefault(self.tol), 0, closed=False)
        check_number("maxIter", self.getOrDefault(self.maxIter), 1)
        return SolverSettings(
            tried,
            self.getOrDefault(self.fitIntercept),
            self._loss(),
            self.getOrDefault(self.solver),
            self.getOrDefault(self.tol),
            self.getOrDefault(self.maxIter),
            "float64" if self.getOrDefault(self.precision) == "double" else "float32",
        )

    def _check_data(self, data: PartitionedDataset) -> None:
        centers = self._center_settings()
        impute = self._kernel_settings().impute
        free = self._is_random or centers.given is not None
        check_rows(data, 0 if free else centers.number, impute=impute)
        if len(data.manifest.label.classes) == 1:
            raise DataError(
                "one_class",
                f"The label {data.manifest.label.column!r} has the class "
                f"{data.manifest.label.classes[0]!r} only.",
                "A classifier needs rows of two classes.",
            )

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        kernel, centers, solver = (
            self._kernel_settings(),
            self._center_settings(),
            self._solver_settings(),
        )
        return {
            "class": type(self).__name__,
            "data": data.manifest.content_sha256,
            "approximation": self.getOrDefault(self.approximation),
            "kernel": vars(kernel),
            "centers": [
                centers.number,
                centers.method,
                None if centers.given is None else centers.given.tolist(),
            ],
            "solver": vars(solver),
            "validationFraction": self.getOrDefault(self.validationFraction),
            "seed": self.getOrDefault(self.seed),
        }

    # -- the fit --------------------------------------------------------------------------

    def _fit_shards(
        self,
        spark: SparkSession,
        data: PartitionedDataset,
        folder: Folder,
    ) -> KernelMachineModel:
        started = time.perf_counter()
        settings, seed = self._solver_settings(), self.getOrDefault(self.seed)
        classes = len(data.manifest.label.classes)
        source = ShardRows(
            data,
            spark,
            form=self.getOrDefault(self.form),
            ranks=self._value(self.numRanks),
            memory=self._value(self.memoryPerTask),
        )
        found = self._space(source, classes)
        several = len(settings.alphas) > 1
        held = Validation(self.getOrDefault(self.validationFraction), seed) if several else None
        problem = (found, Targets(classes, held), settings)
        machine = source.solve(solve_machine, problem, settings.passes(width_of(found)))
        coefficients, intercept = machine["coefficients"], machine["intercept"]
        files = write_machine(folder, found, coefficients, intercept)
        summary = {
            **machine["summary"],
            "centers": len(coefficients),
            "length_scale": found.kernel.length_scale,
            "rows": data.n_rows,
            "seconds": round(time.perf_counter() - started, 3),
        }
        content = {
            "kernel": found.kernel.to_dict(),
            "dtype": settings.dtype,
            "loss": settings.loss,
        }
        return self._model_class(folder, data.schema, data.manifest.label, files, content, summary)

    def _space(self, source: ShardRows, classes: int) -> Space:
        """Return the centres, or the random features."""
        kernel, seed = self._kernel_settings(), self.getOrDefault(self.seed)
        centers = self._center_settings()
        if not self._is_random:
            return centered(source, kernel, centers, seed, n_classes=classes)
        scaling = fitted_scaling(source, kernel)
        found = fitted_kernel(source, kernel, scaling, seed, n_classes=classes)
        return FourierMap.drawn(found, scaling, centers.number, seed)
