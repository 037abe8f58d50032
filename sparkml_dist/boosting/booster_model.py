"""Base of the fitted models of boosted trees."""

from __future__ import annotations

from typing import Any

import numpy as np

from sparkml_dist.boosting.boosting_job import MODEL_FILE
from sparkml_dist.boosting.scorer import BoosterScorer
from sparkml_dist.models.shard_model import ShardModel
from sparkml_dist.report.fitted_model import FittedModel

__all__ = ["BoosterModel"]


class BoosterModel(FittedModel, ShardModel):
    """A booster in a UBJSON file; see `ShardModel` for the other attributes.

    Attributes
    ----------
    booster : xgboost.Booster
    history : dict of str to list of float
        Metrics of every round.
    featureImportances : dict of str to float
    summary : dict
        ``ranks`` (list of dict: ``rank``, ``host``, ``rows``, ``seconds``, ``peak_rss_mb``),
        ``rounds`` in the model, ``seconds`` by phase, ``history``, ``best_round`` (from 0) and
        ``best`` with early stopping; ``external`` (whether binned rows were kept on disk),
        ``restarts`` (the number of restarts of the gang) and ``restarted`` (the reason of each).
    """

    _packages = ("xgboost", "xgboost-cpu")

    @property
    def history(self) -> dict[str, list[float]]:
        """Metrics of every round: ``logloss``, and ``val_logloss`` of held-out rows."""
        return {name: list(values) for name, values in self.summary["history"].items()}

    @property
    def booster(self) -> Any:
        """The model as a plain ``xgboost.Booster``, loaded into this process.

        It takes the features of `schema` in order, categories as codes, and predicts what
        XGBoost's objective does. With early stopping it ends with the best round.
        """
        return self._scorer().booster()

    @property
    def featureImportances(self) -> dict[str, float]:
        """Share of each feature in the gain of all splits, by name; sum 1."""
        booster = self.booster
        booster.feature_names = None
        gains = np.zeros(self.numFeatures)
        for name, gain in booster.get_score(importance_type="total_gain").items():
            gains[int(name.removeprefix("f"))] = gain
        shares = gains / gains.sum() if gains.sum() > 0 else gains
        return dict(zip(self.schema.feature_names, shares.tolist(), strict=True))

    def _scorer(self) -> BoosterScorer:
        file = {f.name: f for f in self.files}[MODEL_FILE]
        return BoosterScorer(
            self.folder, file.name, file.sha256, self.numFeatures, len(self.label.classes)
        )
