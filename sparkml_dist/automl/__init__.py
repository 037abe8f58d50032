"""From a table to what learners take: features by themselves, and preprocessing of learners."""

from sparkml_dist.automl.table_features import TableFeatures
from sparkml_dist.automl.table_features_model import TableFeaturesModel

__all__ = ["TableFeatures", "TableFeaturesModel"]
