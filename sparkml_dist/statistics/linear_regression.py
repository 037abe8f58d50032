"""A PySpark regressor: linear regression with standard errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from sparkml_dist.models.regression_model import ShardRegressionModel
from sparkml_dist.models.regressor import ShardRegressor
from sparkml_dist.params import constructor
from sparkml_dist.statistics.families import Family, family_of
from sparkml_dist.statistics.linear_estimator import LinearEstimator
from sparkml_dist.statistics.linear_model import LinearModel

__all__ = ["LinearRegression", "LinearRegressionModel"]


class LinearRegressionModel(LinearModel, ShardRegressionModel):
    """The model of `LinearRegression`; see `LinearModel` for the attributes."""

    _title: ClassVar[str] = "Linear regression"

    @property
    def r2(self) -> float | None:
        """Share of the variance that is explained; None without an intercept."""
        total = self.nullDeviance
        return None if not total else 1.0 - self.deviance / total

    @property
    def adjustedR2(self) -> float | None:
        """`r2`, adjusted for the number of columns."""
        found = self.r2
        if found is None:
            return None
        return 1.0 - (1.0 - found) * (float(self.summary["rows"]) - 1) / self.degreesOfFreedom

    @property
    def fTest(self) -> tuple[float, float] | None:
        """F statistic and p-value of the test that all coefficients but the intercept are 0."""
        from scipy import stats

        total, columns = self.nullDeviance, self._n_coefficients() - 1
        if total is None or columns < 1 or not self.deviance > 0:
            return None
        between, within = (total - self.deviance) / columns, self.deviance / self.degreesOfFreedom
        value = between / within
        return value, float(stats.f.sf(value, columns, self.degreesOfFreedom))

    def _facts(self) -> list[tuple[str, str]]:
        found = super()._facts()
        for name, value in (("R-squared", self.r2), ("Adj. R-squared", self.adjustedR2)):
            if value is not None:
                found.append((name, f"{value:.4f}"))
        if (test := self.fTest) is not None:
            found += [("F-statistic", f"{test[0]:.5g}"), ("Prob (F)", f"{test[1]:.3g}")]
        return found


class LinearRegression(LinearEstimator, ShardRegressor):
    """Linear regression over all rows, with standard errors, tests and intervals.

    Two or three passes over the shards form centred sums of squares and products, exactly the same
    for any number of tasks; columns that almost depend on each other are decomposed by QR.

    Parameters
    ----------
    alpha : float, default=0.0
        Strength of a penalty ``alpha * (l1Ratio * |b| + (1 - l1Ratio) / 2 * b**2)`` on half the
        mean squared error, as in scikit-learn's ``ElasticNet``; the intercept is not penalized.
    l1Ratio : float, default=0.0
        0 is ridge, 1 the lasso.
    alphas : list of float, optional
        Strengths of which the one with the least held-out deviance is chosen, over `numFolds`
        folds by hashes of the keys.
    numFolds : int, default=5
    standardization : bool, default=False
        Whether the penalty treats columns as if their standard deviation were 1.
    fitIntercept : bool, default=True
    covType : str, default="nonrobust"
        ``HC0`` to ``HC3`` are robust against unequal variances; ``cluster`` against dependent rows
        of one `keyCol`.
    solver : str, default="auto"
        ``newton`` forms the information matrix, up to 4,096 columns by default. Beyond it
        ``newton-cg``, or ``fista`` for `l1Ratio` > 0; ``lbfgs`` and ``admm`` (consensus of the
        shards) are there to choose.
    factorization : str, default="auto"
        ``gram``, ``qr``, or ``qr`` where the condition number of the scaled columns is above 1e5.
    maxIter : int, default=100
    tol : float, default=1e-8
        The solver ends with a step of this many standard errors, or a gradient of this share of
        the first one.
    dropCollinear : bool, default=False
        Whether columns that depend on columns before them are left out, instead of an error.
    handleInvalid : str, default="error"
        ``skip`` leaves rows with missing values out, ``mean`` fills them with the mean of the
        column.
    weightType : str, default="frequency"
        ``frequency``: a row of weight 2 counts as two rows. ``precision``: as R's and
        statsmodels' weights.
    maxCategories : int, default=1000
        Categories have one coefficient each, but for the first.
    confidenceLevel : float, default=0.95
    form : str, default="auto"
        ``jobs`` or ``gang``, see `sparkml_dist.dataset.block_solver.run_solver`.
    numRanks : int, optional
    featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol
        Roles of columns; by default ``label``, and ``features`` or else all other columns.
    predictionCol : str
        Name of the column that the model adds.
    numShards, memoryPerTask, shardsDir
        How a DataFrame is partitioned; `memoryPerTask` is also the memory of a rank.
    modelDir, overwrite, resume
        Folder of the model.
    seed : int, default=0

    References
    ----------
    Higham (2002), "Accuracy and stability of numerical algorithms", chapter 20.

    Examples
    --------
    >>> line = LinearRegression(featuresCols=["petal_length"], labelCol="petal_width")
    >>> model = line.fit(iris)
    >>> {term: round(value, 4) for term, value in model.coefficients.items()}
    {'(intercept)': -0.3631, 'petal_length': 0.4158}
    >>> {term: round(value, 4) for term, value in model.standardErrors.items()}
    {'(intercept)': 0.0398, 'petal_length': 0.0096}
    """

    _model_class: ClassVar[type[LinearModel]] = LinearRegressionModel
    _student: ClassVar[bool] = True

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
    ) -> None: ...

    def _family(self) -> Family:
        return family_of("gaussian")
