"""Exact linear models with standard errors, and tests, from sums over shards."""

from sparkml_dist.statistics.analysis_of_variance import anova
from sparkml_dist.statistics.contingency import contingency_test
from sparkml_dist.statistics.correlation import correlation_test
from sparkml_dist.statistics.generalized_linear_model import (
    GeneralizedLinearModel,
    GeneralizedLinearRegressionModel,
)
from sparkml_dist.statistics.hypothesis import TestResult
from sparkml_dist.statistics.linear_regression import LinearRegression, LinearRegressionModel
from sparkml_dist.statistics.logistic_regression import (
    LogisticRegression,
    LogisticRegressionModel,
)
from sparkml_dist.statistics.two_sample import t_test

__all__ = [
    "GeneralizedLinearModel",
    "GeneralizedLinearRegressionModel",
    "LinearRegression",
    "LinearRegressionModel",
    "LogisticRegression",
    "LogisticRegressionModel",
    "TestResult",
    "anova",
    "contingency_test",
    "correlation_test",
    "t_test",
]
