"""From a table to a model: features by themselves, and the selection of algorithms."""

from sparkml_dist.automl.auto_model import AutoClassificationModel, AutoRegressionModel
from sparkml_dist.automl.classifier import AutoClassifier
from sparkml_dist.automl.regressor import AutoRegressor
from sparkml_dist.automl.table_features import TableFeatures
from sparkml_dist.automl.table_features_model import TableFeaturesModel

__all__ = [
    "AutoClassificationModel",
    "AutoClassifier",
    "AutoRegressionModel",
    "AutoRegressor",
    "TableFeatures",
    "TableFeaturesModel",
]
