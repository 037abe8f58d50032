"""Gradient boosting over all rows: one XGBoost model, trained by ranks that add histograms."""

from sparkml_dist.boosting.classifier import XGBoostClassificationModel, XGBoostClassifier
from sparkml_dist.boosting.regressor import XGBoostRegressionModel, XGBoostRegressor

__all__ = [
    "XGBoostClassificationModel",
    "XGBoostClassifier",
    "XGBoostRegressionModel",
    "XGBoostRegressor",
]
