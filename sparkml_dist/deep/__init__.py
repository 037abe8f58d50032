"""Deep networks: Keras models trained over the shards by ranks that communicate with Horovod."""

from sparkml_dist.deep.classifier import KerasClassificationModel, KerasClassifier
from sparkml_dist.deep.deep_ensemble import DeepEnsembleClassifier
from sparkml_dist.deep.deep_ensemble_model import DeepEnsembleClassificationModel
from sparkml_dist.deep.estimator import KerasEstimator, KerasModel
from sparkml_dist.deep.input.tf_dataset import as_tf_dataset
from sparkml_dist.deep.regressor import KerasRegressionModel, KerasRegressor

__all__ = [
    "DeepEnsembleClassificationModel",
    "DeepEnsembleClassifier",
    "KerasClassificationModel",
    "KerasClassifier",
    "KerasEstimator",
    "KerasModel",
    "KerasRegressionModel",
    "KerasRegressor",
    "as_tf_dataset",
]
