"""A PySpark regressor: generalized linear models with standard errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.models.regression_model import ShardRegressionModel
from sparkml_dist.models.regressor import ShardRegressor
from sparkml_dist.params import constructor, param
from sparkml_dist.statistics.families import Family, family_of
from sparkml_dist.statistics.linear_estimator import LinearEstimator
from sparkml_dist.statistics.linear_model import LinearModel

__all__ = ["GeneralizedLinearModel", "GeneralizedLinearRegressionModel"]


class GeneralizedLinearRegressionModel(LinearModel, ShardRegressionModel):
    """The model of `GeneralizedLinearModel`; see `LinearModel` for the attributes.

    Predictions are means.
    """

    @property
    def overdispersion(self) -> float:
        """Overdispersion of a negative binomial: the variance is ``mu + overdispersion mu**2``."""
        return float(self.content["family"]["overdispersion"])

    def _facts(self) -> list[tuple[str, str]]:
        family = self._family()
        found = [("Family", family.name), ("Link", family.link.name), *super()._facts()]
        if family.name == "negative_binomial":
            found.append(("Overdispersion", f"{self.overdispersion:.5g}"))
        return found


class GeneralizedLinearModel(LinearEstimator, ShardRegressor):
    """Generalized linear models over all rows, with standard errors, tests and intervals.

    Parameters
    ----------
    family : str, default="gaussian"
        ``gaussian``, ``binomial`` (targets from 0 to 1), ``poisson``, ``gamma``,
        ``negative_binomial`` or ``tweedie``.
    link : str, optional
        ``identity``, ``log``, ``logit``, ``probit``, ``cloglog``, ``inverse``,
        ``inverse_squared``, ``sqrt`` or ``power``, as far as it fits the family. By default the
        canonical one, but the logarithm for a negative binomial and Tweedie.
    linkPower : float, default=0.0
        Exponent of the link ``power``; 0 is the logarithm.
    variancePower : float, default=1.5
        Of Tweedie: the variance is proportional to this power of the mean.
    overdispersion : float, optional
        Of a negative binomial, whose variance is ``mu + overdispersion * mu**2``; estimated by
        maximum likelihood by default, as R's ``glm.nb`` does.
    offsetCol : str, optional
        Column that is added to the linear predictor, such as the logarithm of an exposure.
    alpha, l1Ratio, alphas, numFolds, standardization, fitIntercept, covType, solver, \
factorization, maxIter, tol, dropCollinear, handleInvalid, weightType, maxCategories, \
confidenceLevel, form, numRanks
        As for `LinearRegression`; the penalty is on half the mean deviance of a row. Robust
        standard errors are those of R's sandwich, from the expected information.
    featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol, predictionCol, \
numShards, memoryPerTask, shardsDir, modelDir, overwrite, resume, seed
        As for `LinearRegression`.

    References
    ----------
    McCullagh, Nelder (1989), "Generalized linear models".

    Examples
    --------
    >>> poisson = GeneralizedLinearModel(
    ...     family="poisson", featuresCols=["petal_width"], labelCol="petal_length"
    ... )
    >>> model = poisson.fit(iris)
    >>> {term: round(value, 4) for term, value in model.coefficients.items()}
    {'(intercept)': 0.4466, 'petal_width': 0.6376}
    """

    family: Any = param("family", "distribution of the targets", TypeConverters.toString)
    link: Any = param(
        "link",
        "function that turns means into linear predictors; the family's own when not set",
        TypeConverters.toString,
    )
    linkPower: Any = param(
        "linkPower", "exponent of the link 'power'; 0: the logarithm", TypeConverters.toFloat
    )
    variancePower: Any = param(
        "variancePower",
        "Tweedie's power of the mean that the variance is proportional to (0, or >= 1)",
        TypeConverters.toFloat,
    )
    overdispersion: Any = param(
        "overdispersion",
        "a negative binomial's (> 0); estimated when not set",
        TypeConverters.toFloat,
    )
    offsetCol: Any = param(
        "offsetCol", "column that is added to the linear predictor", TypeConverters.toString
    )

    _model_class: ClassVar[type[LinearModel]] = GeneralizedLinearRegressionModel

    @constructor
    def __init__(
        self,
        *,
        family: str = "gaussian",
        link: str | None = None,
        linkPower: float = 0.0,
        variancePower: float = 1.5,
        overdispersion: float | None = None,
        offsetCol: str | None = None,
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
    ) -> None: ...

    def _family(self) -> Family:
        given = self._value(self.overdispersion)
        return family_of(
            self.getOrDefault(self.family),
            self._value(self.link),
            overdispersion=1.0 if given is None else given,
            variance_power=self.getOrDefault(self.variancePower),
            link_power=self.getOrDefault(self.linkPower),
        )

    def _offset(self) -> str | None:
        found: str | None = self._value(self.offsetCol)
        return found

    def _estimates_overdispersion(self) -> bool:
        negative = self.getOrDefault(self.family) == "negative_binomial"
        return negative and not self.isDefined(self.overdispersion)
