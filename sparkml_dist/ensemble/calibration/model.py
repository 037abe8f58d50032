"""A fitted classifier with calibrated probabilities."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, Self

from sparkml_dist.dataset.schema import Matrix
from sparkml_dist.ensemble.calibration.calibrators import Calibration
from sparkml_dist.models.classification_model import ShardClassificationModel
from sparkml_dist.models.loading import Saved, saved_inside
from sparkml_dist.models.scoring import Predict, Scorer, streams, within
from sparkml_dist.report.fitted_model import FittedModel

__all__ = ["BASE", "CalibratedClassificationModel", "CalibratedScorer"]

BASE = "base"


@dataclass(frozen=True)
class CalibratedScorer:
    """Another scorer's probabilities, calibrated; see `sparkml_dist.models.scoring.Scorer`.

    Attributes
    ----------
    base : Scorer
    calibration : Calibration
    """

    base: Scorer
    calibration: Calibration

    @property
    def cache_key(self) -> str:
        """A key that changes with the model and with its calibrators."""
        text = f"{self.base.cache_key}/{json.dumps(self.calibration.to_dict())}"
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def raw_scale(self) -> float:
        """``rawPrediction`` is the probability."""
        return 1.0

    @property
    def streams(self) -> bool:
        """Whether members are read again for each block."""
        return streams(self.base)

    def within(self, memory: int) -> CalibratedScorer:
        """Return the scorer with at most `memory` bytes of members loaded at once."""
        return replace(self, base=within(self.base, memory))

    def load(self) -> Predict:
        """Return a function from features (n, d) to calibrated probabilities (n, n_classes)."""
        base, calibration = self.base.load(), self.calibration

        def predict(X: Matrix) -> Any:
            return calibration(base(X))

        return predict


class CalibratedClassificationModel(FittedModel, ShardClassificationModel):
    """A classifier whose probabilities are calibrated.

    The prediction is the class that is most probable after the calibration.

    Attributes
    ----------
    calibration : Calibration
        The calibrators.
    base : ShardClassificationModel
        The model whose probabilities are calibrated; its files are in ``base/``.
    """

    @property
    def calibration(self) -> Calibration:
        """The calibrators."""
        return Calibration.from_dict(self.content["calibration"])

    @property
    def base(self) -> Any:
        """The model whose probabilities are calibrated."""
        if "_base" not in vars(self):
            self._base = saved_inside(self.folder, BASE, self.files, self.trusted)
        return self._base

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        model = super()._restore(saved)
        model._base = saved.inner(BASE)
        _ = model.calibration
        return model

    def _picture(self) -> Any:
        return self.base._picture()

    def _scorer(self) -> CalibratedScorer:
        return CalibratedScorer(self.base._scorer(), self.calibration)

    def _target(self) -> str:
        return f"{self.content['calibration']['method']} over {self.content['base']}, " + (
            super()._target()
        )
