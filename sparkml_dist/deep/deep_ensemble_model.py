"""The model of an ensemble of networks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.deep.classifier import KerasClassificationModel
from sparkml_dist.deep.network_model import NETWORK_PACKAGES
from sparkml_dist.deep.scoring.deep_ensemble_scorer import DeepEnsembleScorer
from sparkml_dist.models.classification_model import ShardClassificationModel
from sparkml_dist.models.scoring import OutputColumns
from sparkml_dist.params import AccessibleParams, param
from sparkml_dist.report.fitted_model import FittedModel

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DeepEnsembleClassificationModel", "HasUncertaintyColumns"]


class HasUncertaintyColumns(AccessibleParams):
    """Names of the uncertainty columns; an empty name omits a column."""

    entropyCol: Any = param(
        "entropyCol",
        "column for the entropy of the prediction, in nats: the total uncertainty",
        TypeConverters.toString,
    )
    mutualInformationCol: Any = param(
        "mutualInformationCol",
        "column for the mutual information of class and member, in nats: the disagreement of the "
        "members",
        TypeConverters.toString,
    )


class DeepEnsembleClassificationModel(FittedModel, ShardClassificationModel, HasUncertaintyColumns):
    """The model of `DeepEnsembleClassifier`; see `ShardModel` for the other attributes.

    `transform` adds, besides a classifier's columns, measures of each prediction's uncertainty (see
    `sparkml_dist.deep.scoring.uncertainty`).

    Attributes
    ----------
    members : list of KerasClassificationModel
        The networks, each as a model.
    summary : dict
        ``members`` (for each ``seed``, ``shards``, ``steps``, ``parameters``, ``seconds`` and
        ``history``), ``seconds``, ``peak_worker_rss_mb``.
    """

    _packages = NETWORK_PACKAGES

    _defaults: ClassVar[dict[str, Any]] = {
        "entropyCol": "entropy",
        "mutualInformationCol": "mutualInformation",
    }

    @property
    def members(self) -> list[KerasClassificationModel]:
        """The networks, each as a model."""
        files = {file.name: file for file in self.files}
        summaries: Sequence[dict[str, Any]] = self.summary["members"]
        return [
            KerasClassificationModel(
                self.folder, self.schema, self.label, [files[m["file"]]], m["content"], summary
            )
            for m, summary in zip(self.content["members"], summaries, strict=True)
        ]

    def _target(self) -> str:
        return f"{len(self.content['members'])} networks, {super()._target()}"

    def _scorer(self) -> DeepEnsembleScorer:
        return DeepEnsembleScorer(tuple(m._scorer() for m in self.members))

    def _outputs(self) -> OutputColumns:
        return (
            super()
            ._outputs()
            .with_measures(
                entropy=self.getOrDefault(self.entropyCol),
                mutualInformation=self.getOrDefault(self.mutualInformationCol),
            )
        )
