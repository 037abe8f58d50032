"""Ensembles of any scikit-learn learner, fitted on shards; one method to a file."""

from sparkml_dist.ensemble.bagging import (
    BaggingClassificationModel,
    BaggingClassifier,
    BaggingRegressionModel,
    BaggingRegressor,
)
from sparkml_dist.ensemble.boosting.adaboost import AdaBoostClassificationModel, AdaBoostClassifier
from sparkml_dist.ensemble.boosting.adaboost_pl import (
    AdaBoostPLClassificationModel,
    AdaBoostPLClassifier,
)
from sparkml_dist.ensemble.calibration.calibration import CalibratedClassifier
from sparkml_dist.ensemble.calibration.model import CalibratedClassificationModel
from sparkml_dist.ensemble.gradient.boosting import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
)
from sparkml_dist.ensemble.gradient.model import (
    GradientBoostingClassificationModel,
    GradientBoostingRegressionModel,
)
from sparkml_dist.ensemble.ivotes import IVotesClassificationModel, IVotesClassifier
from sparkml_dist.ensemble.selection.selection import EnsembleSelectionClassifier
from sparkml_dist.ensemble.stacking.blending import BlendingClassifier
from sparkml_dist.ensemble.stacking.model import (
    BlendingClassificationModel,
    StackingClassificationModel,
    StackingRegressionModel,
)
from sparkml_dist.ensemble.stacking.stacking import StackingClassifier, StackingRegressor
from sparkml_dist.ensemble.voted import VotedClassificationModel, VotedRegressionModel, vote
from sparkml_dist.ensemble.voting import (
    VotingClassificationModel,
    VotingClassifier,
    VotingRegressionModel,
    VotingRegressor,
)

__all__ = [
    "AdaBoostClassificationModel",
    "AdaBoostClassifier",
    "AdaBoostPLClassificationModel",
    "AdaBoostPLClassifier",
    "BaggingClassificationModel",
    "BaggingClassifier",
    "BaggingRegressionModel",
    "BaggingRegressor",
    "BlendingClassificationModel",
    "BlendingClassifier",
    "CalibratedClassificationModel",
    "CalibratedClassifier",
    "EnsembleSelectionClassifier",
    "GradientBoostingClassificationModel",
    "GradientBoostingClassifier",
    "GradientBoostingRegressionModel",
    "GradientBoostingRegressor",
    "IVotesClassificationModel",
    "IVotesClassifier",
    "StackingClassificationModel",
    "StackingClassifier",
    "StackingRegressionModel",
    "StackingRegressor",
    "VotedClassificationModel",
    "VotedRegressionModel",
    "VotingClassificationModel",
    "VotingClassifier",
    "VotingRegressionModel",
    "VotingRegressor",
    "vote",
]
