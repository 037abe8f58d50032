"""Models fitted by gradient boosting: regressors whose sum is a score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparkml_dist.ensemble.gradient_boosting.losses import loss_of
from sparkml_dist.ensemble.gradient_boosting.plan import GradientPlan
from sparkml_dist.ensemble.gradient_boosting.scorer import AdditiveScorer, Stage
from sparkml_dist.learners.fitting import member_traits
from sparkml_dist.members.ensemble_model import (
    EnsembleClassificationModel,
    EnsembleModel,
    EnsembleRegressionModel,
)

__all__ = [
    "GradientBoostingClassificationModel",
    "GradientBoostingRegressionModel",
    "additive_content",
]


def additive_content(plan: GradientPlan, stages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the manifest's content for stages that add up.

    Parameters
    ----------
    plan : GradientPlan
    stages : sequence of dict
        As returned by `GradientPlan.settle`.
    """
    traits = member_traits(plan.traits, None)
    weight = plan.learning_rate / plan.width
    return {
        "loss": plan.loss.name,
        "initial": list(plan.initial),
        "learning_rate": plan.learning_rate,
        "stages": [{"steps": s["steps"], "width": len(s["members"])} for s in stages],
        "members": [{**m, **traits, "weight": weight} for s in stages for m in s["members"]],
    }


class _AdditiveModel(EnsembleModel):
    """Stages that add up to a score.

    ``content["members"]`` holds the members' files, each a list of regressors, one per output.
    ``content["stages"]`` holds, for each stage in turn, its number of members and its step lengths.
    """

    @property
    def numMembers(self) -> int:
        """Number of stages."""
        return len(self.content["stages"])

    def _scorer(self) -> AdditiveScorer:
        content = self.content
        return AdditiveScorer(
            self._bank(),
            tuple(Stage(tuple(s["steps"]), s["width"]) for s in content["stages"]),
            loss_of(content["loss"], n_classes=len(self.label.classes)),
            tuple(content["initial"]),
            content["learning_rate"],
        )


class GradientBoostingClassificationModel(_AdditiveModel, EnsembleClassificationModel):
    """Fitted by `GradientBoostingClassifier`."""


class GradientBoostingRegressionModel(_AdditiveModel, EnsembleRegressionModel):
    """Fitted by `GradientBoostingRegressor`."""
