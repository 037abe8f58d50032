"""Several networks as one fitted classifier."""

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
    """Names of the columns of uncertainty; an empty one leaves it out."""

    entropyCol: Any = param(
        "entropyCol",
        "column for the entropy of the prediction, in nats: all that is uncertain",
        TypeConverters.toString,
    )
    mutualInformationCol: Any = param(
        "mutualInformationCol",
        "column for the mutual information of class and member, in nats: what members do not "
        "agree on",
        TypeConverters.toString,
    )


class DeepEnsembleClassificationModel(FittedModel, ShardClassificationModel, HasUncertaintyColumns):
    """What `DeepEnsembleClassifier` fits; see `ShardModel` for the other attributes.

    `transform` adds, beside a classifier's columns, the uncertainty of each row's prediction (see
    `sparkml_dist.deep.scoring.uncertainty`).

    Attributes
    ----------
    members : list of KerasClassificationModel
        The networks, each a model of its own.
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
        """The networks, each a model of its own."""
        files = {file.name: file for file in self.files}
        told: Sequence[dict[str, Any]] = self.summary["members"]
        return [
            KerasClassificationModel(
                self.folder, self.schema, self.label, [files[m["file"]]], m["content"], summary
            )
            for m, summary in zip(self.content["members"], told, strict=True)
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
