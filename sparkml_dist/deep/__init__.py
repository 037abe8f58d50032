"""Deep networks: Keras models trained by ranks over the shards, with Horovod between them."""

from sparkml_dist.deep.estimator import KerasClassificationModel, KerasClassifier
from sparkml_dist.deep.training import TrainingResult, train_classifier

__all__ = [
    "KerasClassificationModel",
    "KerasClassifier",
    "TrainingResult",
    "train_classifier",
]
