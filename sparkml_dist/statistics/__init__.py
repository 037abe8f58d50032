"""Exact linear models with standard errors, and tests, from sums over shards."""

from sparkml_dist.statistics.generalized_linear_model import (
    GeneralizedLinearModel,
    GeneralizedLinearRegressionModel,
)
from sparkml_dist.statistics.linear_regression import LinearRegression, LinearRegressionModel
from sparkml_dist.statistics.logistic_regression import (
    LogisticRegression,
    LogisticRegressionModel,
)

__all__ = [
    "GeneralizedLinearModel",
    "GeneralizedLinearRegressionModel",
    "LinearRegression",
    "LinearRegressionModel",
    "LogisticRegression",
    "LogisticRegressionModel",
]
