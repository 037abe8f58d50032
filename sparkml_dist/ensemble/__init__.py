"""Ensembles of any scikit-learn learner, fitted on shards; one method to a file."""

from sparkml_dist.ensemble.bagging import BaggingClassificationModel, BaggingClassifier
from sparkml_dist.ensemble.voting import VotingClassificationModel, VotingClassifier

__all__ = [
    "BaggingClassificationModel",
    "BaggingClassifier",
    "VotingClassificationModel",
    "VotingClassifier",
]
