"""Base of the estimators of linear models: partition, fit with sums over blocks, save."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.block_solver import Solved, run_solver
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.schema import Precision
from sparkml_dist.dataset.sizing import DEFAULT_MEMORY_PER_TASK
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.models.shard_estimator import ShardEstimator
from sparkml_dist.persistence.arrays import write_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.sizes import parse_size
from sparkml_dist.statistics.clusters import cluster_keys
from sparkml_dist.statistics.design import Design, missing_values
from sparkml_dist.statistics.families import Family
from sparkml_dist.statistics.fit_glm import fit_glm, uses_gram
from sparkml_dist.statistics.glm_problem import GlmProblem, Penalty
from sparkml_dist.statistics.linear_model import COEFFICIENTS, COVARIANCE, LinearModel
from sparkml_dist.statistics.linear_params import HasLinear
from sparkml_dist.statistics.path import chosen_penalty

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["LinearEstimator"]

_logger = logging.getLogger(__name__)

# Passes that fits take as a rule, to choose the form of their sums.
_FEW, _SOME, _MANY = 5, 10, 100


class LinearEstimator(ShardEstimator, HasLinear):
    """Base of the estimators of linear models; a subclass gives family and model class."""

    #: Class of the fitted model.
    _model_class: ClassVar[type[LinearModel]]
    #: Whether coefficients are tested by Student's t.
    _student: ClassVar[bool] = False
    _precision: ClassVar[Precision] = "float64"

    def _family(self) -> Family:
        """Return the family that the Params describe; raises `ConfigurationError`."""
        raise NotImplementedError

    def _offset(self) -> str | None:
        """Return the name of the column of offsets."""
        return None

    def _estimates_overdispersion(self) -> bool:
        return False

    # -- before any job -------------------------------------------------------------------

    def _check_params(self, spark: SparkSession) -> None:
        self._check_linear()
        self._family()
        parse_size(self._memory(), "memoryPerTask")

    def _check_data(self, data: PartitionedDataset) -> None:
        names = data.schema.feature_names
        offset = self._offset()
        if offset is not None and offset not in names:
            raise DataError(
                "column_not_found",
                f"There is no feature {offset!r} for the offset.{nearest(offset, names)}",
                "Partition the data with that column among the features.",
            )
        most = self.getOrDefault(self.maxCategories)
        for column in data.schema.columns:
            if len(column.categories) > most:
                raise DataError(
                    "too_many_categories",
                    f"The column {column.name!r} has {len(column.categories):,} categories, each "
                    f"of which would be a coefficient; maxCategories is {most:,}.",
                    "Group rare categories, leave the column out, or raise maxCategories.",
                )
        if self.getOrDefault(self.covType) == "cluster" and not data.manifest.key:
            raise ConfigurationError(
                "conflicting_params",
                "covType is 'cluster', but the rows have no key that tells their cluster.",
                "Name the column of clusters with keyCol, also where the data is partitioned.",
            )
        if self.getOrDefault(self.handleInvalid) == "error" and data.manifest.missing_features:
            raise missing_values([names[i] for i in data.manifest.missing_features])
        filled = self.getOrDefault(self.handleInvalid) == "mean"
        categorical = set(data.schema.categorical_features)
        if filled and (none := categorical.intersection(data.manifest.missing_features)):
            raise DataError(
                "missing_values",
                f"The category {names[min(none)]!r} is missing in some rows, and has no mean.",
                'Fill it in, or use handleInvalid="skip".',
            )
        if data.layout == "sparse" and filled:
            raise ConfigurationError(
                "conflicting_params",
                'handleInvalid="mean" is not for sparse features.',
                'Use handleInvalid="skip".',
            )

    def _features_of(self, df: DataFrame) -> list[str] | None:
        found, offset = super()._features_of(df), self._offset()
        if found is None or offset is None or offset in found:
            return found
        return [*found, offset]

    def _memory(self) -> str:
        return self._value(self.memoryPerTask) or DEFAULT_MEMORY_PER_TASK

    def _problem(self, data: PartitionedDataset) -> GlmProblem:
        design = Design.of(
            data.schema,
            intercept=self.getOrDefault(self.fitIntercept),
            offset=self._offset(),
            handling=self.getOrDefault(self.handleInvalid),
        )
        if not design.terms:
            raise DataError("no_features", "There is neither a feature nor an intercept.")
        penalty = Penalty(
            self.getOrDefault(self.alpha),
            self.getOrDefault(self.l1Ratio),
            self.getOrDefault(self.standardization),
        )
        return GlmProblem(
            design,
            self._family(),
            penalty,
            solver=self.getOrDefault(self.solver),
            factorization=self.getOrDefault(self.factorization),
            covariance=self.getOrDefault(self.covType),
            frequency=self.getOrDefault(self.weightType) == "frequency",
            drop_collinear=self.getOrDefault(self.dropCollinear),
            max_iter=self.getOrDefault(self.maxIter),
            tol=self.getOrDefault(self.tol),
            estimate_overdispersion=self._estimates_overdispersion(),
        )

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        problem = self._problem(data)
        return {
            "class": type(self).__name__,
            "data": data.manifest.content_sha256,
            **problem.to_dict(),
            "design": problem.design.to_dict(),
            "alphas": self._value(self.alphas),
            "numFolds": self.getOrDefault(self.numFolds),
        }

    # -- the fit --------------------------------------------------------------------------

    def _solve(self, data: PartitionedDataset) -> Callable[..., dict[str, Any]]:
        """Return the function that fits."""
        return fit_glm

    def _has_gram(self, problem: GlmProblem, data: PartitionedDataset) -> bool:
        return uses_gram(problem)

    def _fit_shards(
        self, spark: SparkSession, data: PartitionedDataset, folder: Folder
    ) -> LinearModel:
        problem = self._problem(data)
        if problem.covariance == "cluster":
            problem = replace(problem, clusters=cluster_keys(spark, data))
        run = functools.partial(
            run_solver,
            spark,
            data,
            form=self.getOrDefault(self.form),
            ranks=self._value(self.numRanks),
            memory=self._memory(),
            description=type(self).__name__,
        )
        alphas, path = self._value(self.alphas), None
        seconds = 0.0
        if alphas is not None:
            path = chosen_penalty(
                run,
                self._solve(data),
                problem,
                alphas,
                self.getOrDefault(self.numFolds),
                self.getOrDefault(self.seed),
            )
            seconds = path.seconds
            problem = replace(problem, penalty=replace(problem.penalty, alpha=path.alpha))
        solved = run(self._solve(data), problem, passes=self._passes(problem, data))
        return self._model(data, folder, problem, solved, path, seconds)

    def _passes(self, problem: GlmProblem, data: PartitionedDataset) -> int:
        if not self._has_gram(problem, data):
            return _MANY
        linear = problem.family.name == "gaussian" and problem.family.link.name == "identity"
        return _FEW if linear and self._task == "regression" else _SOME

    def _model(
        self,
        data: PartitionedDataset,
        folder: Folder,
        problem: GlmProblem,
        solved: Solved,
        path: Any,
        seconds: float,
    ) -> LinearModel:
        value = dict(solved.value)
        arrays: dict[str, npt.NDArray[np.float64]] = {
            "coefficients": np.asarray(value.pop("coefficients"), np.float64)
        }
        write_array(folder, COEFFICIENTS, arrays["coefficients"])
        names = [COEFFICIENTS]
        covariance = value.pop("covariance")
        if covariance is not None:
            arrays["covariance"] = np.asarray(covariance, np.float64)
            write_array(folder, COVARIANCE, arrays["covariance"])
            names.append(COVARIANCE)
        dropped = tuple(int(i) for i in value["dropped"])
        means = tuple(float(m) for m in value.pop("means"))
        design = replace(problem.design, dropped=dropped, means=means)
        family = replace(problem.family, overdispersion=float(value.pop("overdispersion")))
        terms = design.all_terms
        if path is not None and path.coefficients.shape == (len(path.rows), len(design.terms)):
            for row, values in zip(path.rows, path.coefficients.tolist(), strict=True):
                row["coefficients"] = dict(zip(design.terms, values, strict=True))
        summary = {
            **value,
            "dropped": [terms[i] for i in dropped],
            "alpha": problem.penalty.alpha,
            "l1_ratio": problem.penalty.l1_ratio,
            "form": solved.form,
            "ranks": solved.ranks,
            "restarts": solved.restarts,
            "seconds": {"fit": solved.seconds + seconds},
            "pass_seconds": solved.pass_seconds,
            "path": None if path is None else path.rows,
        }
        if not value["converged"]:
            _logger.warning(
                "the solver %s has not converged: %s; raise maxIter",
                value["solver"],
                value["stopped"],
            )
        model = self._model_class(
            folder,
            data.schema,
            data.manifest.label,
            [ModelFile.of(folder, name) for name in names],
            {
                "design": design.to_dict(),
                "family": family.to_dict(),
                "covariance": problem.covariance,
                "student": self._student,
            },
            summary,
        )
        model._arrays = arrays
        return model
