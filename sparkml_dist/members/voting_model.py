"""Members of equal or own weight that vote."""

from __future__ import annotations

from sparkml_dist.members.ensemble_model import EnsembleClassificationModel, EnsembleRegressionModel

__all__ = ["VotingClassificationModel", "VotingRegressionModel"]


class VotingClassificationModel(EnsembleClassificationModel):
    """Members that vote, softly or hard, each with its weight."""


class VotingRegressionModel(EnsembleRegressionModel):
    """Regressors whose weighted mean is the prediction."""
