"""A PySpark classifier: logistic regression with standard errors, for two classes and more."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.models.classification_model import ShardClassificationModel
from sparkml_dist.models.classifier import ShardClassifier
from sparkml_dist.params import constructor
from sparkml_dist.statistics.families import Family, family_of
from sparkml_dist.statistics.fit_glm import fit_glm
from sparkml_dist.statistics.fit_multinomial import fit_multinomial, has_covariance
from sparkml_dist.statistics.glm_problem import GlmProblem
from sparkml_dist.statistics.linear_estimator import LinearEstimator
from sparkml_dist.statistics.linear_model import LinearModel

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["LogisticRegression", "LogisticRegressionModel"]


class LogisticRegressionModel(LinearModel, ShardClassificationModel):
    """The model of `LogisticRegression`; see `LinearModel` for the attributes.

    For two classes the coefficients are those of the second one; for more, those of each class
    against the first.
    """

    _title: ClassVar[str] = "Logistic regression"

    @property
    def pseudoR2(self) -> float | None:
        """McFadden's: one less the log-likelihood's share of that of the class shares alone."""
        model, null = self.logLikelihood, self.summary["null_log_likelihood"]
        return None if model is None or not null else 1.0 - model / float(null)

    def _facts(self) -> list[tuple[str, str]]:
        found = super()._facts()
        value = self.pseudoR2
        return found if value is None else [*found, ("Pseudo R-squared", f"{value:.4f}")]


class LogisticRegression(LinearEstimator, ShardClassifier):
    """Logistic regression over all rows, with standard errors, tests and intervals.

    Newton's method: a pass over the shards for each of about six iterations, in which the tasks
    form sums that are the same for any number of them. Perfectly separated classes, whose
    likelihood has no maximum, are an error that names the coefficient which grows without end.

    Parameters
    ----------
    alpha, l1Ratio, alphas, numFolds, standardization, fitIntercept, covType, solver, \
factorization, maxIter, tol, dropCollinear, handleInvalid, weightType, maxCategories, \
confidenceLevel, form, numRanks
        As for `LinearRegression`. The penalty is on the mean negative log-likelihood of a row:
        scikit-learn's ``C`` is ``1 / (alpha * rows)``. With more than two classes, the penalty is
        on the coefficients of all classes but the first.
    featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol
        Roles of columns; by default ``label``, and ``features`` or else all other columns.
    predictionCol, probabilityCol, rawPredictionCol, predictedLabelCol : str
        Names of the columns that the model adds; ``rawPrediction`` holds log odds.
    numShards, memoryPerTask, shardsDir, modelDir, overwrite, resume, seed
        As for `LinearRegression`.

    References
    ----------
    McCullagh, Nelder (1989), "Generalized linear models". Lin, Weng, Keerthi (2008), "Trust region
    Newton method for large-scale logistic regression".

    Examples
    --------
    >>> logistic = LogisticRegression(featuresCols=["sepal_width"], labelCol="species")
    >>> model = logistic.fit(iris)
    >>> model.terms
    ['versicolor: (intercept)', 'versicolor: sepal_width', 'virginica: (intercept)', \
'virginica: sepal_width']
    """

    _model_class: ClassVar[type[LinearModel]] = LogisticRegressionModel

    @constructor
    def __init__(
        self,
        *,
        alpha: float = 0.0,
        l1Ratio: float = 0.0,
        alphas: Sequence[float] | None = None,
        numFolds: int = 5,
        standardization: bool = False,
        fitIntercept: bool = True,
        covType: str = "nonrobust",
        solver: str = "auto",
        factorization: str = "auto",
        maxIter: int = 100,
        tol: float = 1e-8,
        dropCollinear: bool = False,
        handleInvalid: str = "error",
        weightType: str = "frequency",
        maxCategories: int = 1000,
        confidenceLevel: float = 0.95,
        form: str = "auto",
        numRanks: int | None = None,
        featuresCols: Sequence[str] | None = None,
        categoricalCols: Sequence[str] | None = None,
        keyCol: str | None = None,
        featuresCol: str = "features",
        labelCol: str = "label",
        weightCol: str | None = None,
        numShards: int | None = None,
        memoryPerTask: str | None = None,
        shardsDir: str | None = None,
        modelDir: str | None = None,
        overwrite: bool = False,
        resume: bool = False,
        predictionCol: str = "prediction",
        seed: int = 0,
        predictedLabelCol: str = "predictedLabel",
        probabilityCol: str = "probability",
        rawPredictionCol: str = "rawPrediction",
    ) -> None: ...

    def _family(self) -> Family:
        return family_of("binomial")

    def _check_params(self, spark: SparkSession) -> None:
        super()._check_params(spark)
        if self.getOrDefault(self.solver) == "admm":
            raise ConfigurationError(
                "invalid_param", 'The solver "admm" is for linear regressions. Use "fista".'
            )

    def _check_data(self, data: PartitionedDataset) -> None:
        super()._check_data(data)
        classes = data.manifest.label.classes
        if len(classes) == 1:
            raise DataError(
                "one_class",
                f"The label {data.manifest.label.column!r} has the class {classes[0]!r} only.",
                "A classifier needs rows of two classes.",
            )

    def _solve(self, data: PartitionedDataset) -> Callable[..., dict[str, Any]]:
        classes = len(data.manifest.label.classes)
        if classes == 2:
            return fit_glm
        return functools.partial(fit_multinomial, classes=classes)

    def _has_gram(self, problem: GlmProblem, data: PartitionedDataset) -> bool:
        return has_covariance(problem, len(data.manifest.label.classes))
