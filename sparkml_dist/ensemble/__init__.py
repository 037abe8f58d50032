"""Ensembles of any scikit-learn learner, fitted on shards; one method per file or folder."""

from sparkml_dist.ensemble.adaboost.adaboost import AdaBoostClassificationModel, AdaBoostClassifier
from sparkml_dist.ensemble.adaboost.adaboost_pl import (
    AdaBoostPLClassificationModel,
    AdaBoostPLClassifier,
)
from sparkml_dist.ensemble.bagging.bagging import (
    BaggingClassificationModel,
    BaggingClassifier,
    BaggingRegressionModel,
    BaggingRegressor,
)
from sparkml_dist.ensemble.bagging.ivotes import IVotesClassificationModel, IVotesClassifier
from sparkml_dist.ensemble.calibration.calibration import CalibratedClassifier
from sparkml_dist.ensemble.calibration.model import CalibratedClassificationModel
from sparkml_dist.ensemble.gradient_boosting.gradient_boosting import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
)
from sparkml_dist.ensemble.gradient_boosting.model import (
    GradientBoostingClassificationModel,
    GradientBoostingRegressionModel,
)
from sparkml_dist.ensemble.stacking.blending import BlendingClassifier
from sparkml_dist.ensemble.stacking.model import (
    BlendingClassificationModel,
    StackingClassificationModel,
    StackingRegressionModel,
)
from sparkml_dist.ensemble.stacking.stacking import StackingClassifier, StackingRegressor
from sparkml_dist.ensemble.voted import VotedClassificationModel, VotedRegressionModel, vote
from sparkml_dist.ensemble.voting.selection import EnsembleSelectionClassifier
from sparkml_dist.ensemble.voting.voting import VotingClassifier, VotingRegressor
from sparkml_dist.members.voting_model import VotingClassificationModel, VotingRegressionModel

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
