"""Ensembles of any scikit-learn learner, fitted on shards; one method to a file."""

from sparkml_dist.ensemble.bagging import (
    BaggingClassificationModel,
    BaggingClassifier,
    BaggingRegressionModel,
    BaggingRegressor,
)
from sparkml_dist.ensemble.voting import (
    VotingClassificationModel,
    VotingClassifier,
    VotingRegressionModel,
    VotingRegressor,
)

__all__ = [
    "BaggingClassificationModel",
    "BaggingClassifier",
    "BaggingRegressionModel",
    "BaggingRegressor",
    "VotingClassificationModel",
    "VotingClassifier",
    "VotingRegressionModel",
    "VotingRegressor",
]
