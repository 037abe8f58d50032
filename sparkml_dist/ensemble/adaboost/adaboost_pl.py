"""AdaBoost.PL: boosts each shard on its own and merges the sequences, in one pass."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, ClassVar

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.ensemble.adaboost.adaboost import BoostingParams
from sparkml_dist.ensemble.adaboost.merged_vote import MergedVote
from sparkml_dist.ensemble.adaboost.run import BoostingRun
from sparkml_dist.ensemble.adaboost.samme import Round, RoundLog, refuse_chance
from sparkml_dist.ensemble.one_learner import raise_shard_failures, sequence_model
from sparkml_dist.learners.fitting import committed_members
from sparkml_dist.members.ensemble_model import EnsembleClassificationModel
from sparkml_dist.params import constructor
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["AdaBoostPLClassificationModel", "AdaBoostPLClassifier"]


class AdaBoostPLClassificationModel(EnsembleClassificationModel):
    """The members of all shards' sequences, merged into hypotheses that vote.

    Members are ordered by hypothesis.
    """

    @property
    def numHypotheses(self) -> int:
        """Number of merged hypotheses."""
        return len(self.content["merged"])

    @property
    def hypothesisWeights(self) -> list[float]:
        """Each merged hypothesis's weight in the vote: the mean of its members' weights."""
        return self._scorer().hypothesis_weights

    @property
    def estimatorErrors(self) -> list[float]:
        """Weighted share of its shard's rows that each member misclassified when it was fitted."""
        return list(self.content["errors"])

    def _scorer(self) -> MergedVote:
        return MergedVote(self._bank(), tuple(self.content["merged"]))


class AdaBoostPLClassifier(BoostingParams):
    """AdaBoost on each shard by itself, without communication; the results are merged.

    Each shard's sequence is sorted by the members' weights. The t-th members of all shards form the
    t-th merged hypothesis, which predicts their majority class and has the mean of their weights. A
    shard whose sequence stops early takes no part in later hypotheses. With one shard this is plain
    AdaBoost (SAMME).

    Parameters
    ----------
    estimator : scikit-learn classifier
        The learner; a pipeline works as well. Without support for weights it gets rows drawn by
        weight.
    numMembers : int, default=50
        Rounds on each shard, at most.
    learningRate : float, default=1.0
        Factor of each member's weight in the vote.
    seed, featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol, predictionCol, \
probabilityCol, rawPredictionCol, predictedLabelCol, numShards, memoryPerTask, shardsDir, \
modelDir, overwrite, resume, trustedTypes
        As for `BaggingClassifier`.

    References
    ----------
    Palit, Reddy (2012), "Scalable and parallel boosting with MapReduce",
    doi:10.1109/TKDE.2011.208. Zhu, Zou, Rosset, Hastie (2009), "Multi-class AdaBoost".

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> boosting = AdaBoostPLClassifier(
    ...     estimator=DecisionTreeClassifier(max_depth=3), numShards=8, labelCol="species"
    ... )
    >>> boosting.getNumShards()
    8
    """

    _model_class: ClassVar[type[Any]] = AdaBoostPLClassificationModel

    @constructor
    def __init__(
        self,
        *,
        learningRate: float = 1.0,
        estimator: Any = None,
        numMembers: int = 50,
        trustedTypes: Sequence[str] = (),
        featuresCols: Sequence[str] | None = None,
        categoricalCols: Sequence[str] | None = None,
        keyCol: str | None = None,
        featuresCol: str = "features",
        labelCol: str = "label",
        weightCol: str | None = None,
        numShards: int | None = None,
        memoryPerTask: str | None = None,
        shardsDir: str | None = None,
        modelDir: str | None = None,
        overwrite: bool = False,
        resume: bool = False,
        predictionCol: str = "prediction",
        seed: int = 0,
        predictedLabelCol: str = "predictedLabel",
        probabilityCol: str = "probability",
        rawPredictionCol: str = "rawPrediction",
    ) -> None: ...

    def _fit_shards(
        self, spark: SparkSession, data: PartitionedDataset, folder: Folder
    ) -> AdaBoostPLClassificationModel:
        start = time.perf_counter()
        job = self._job(spark, data, folder)
        shards = range(len(data.shards))
        before = len(committed_members(folder))
        log = RoundLog.of(folder)
        kept = log.count()
        outcomes = run_tasks(
            spark,
            [s for s in shards if not log.is_complete(s * job.rounds, job.rounds)],
            BoostingRun(job, tuple((s,) for s in shards)),
            description=f"boost {len(shards)} shards",
            count=lambda: (log.count() - kept) // job.rounds,
        )
        raise_shard_failures(outcomes)
        sequences = [log.run(s * job.rounds, job.rounds) for s in shards]
        refuse_chance([r for rounds in sequences for r in rounds], job.n_classes)
        merged = merged_rounds(sequences)
        members = committed_members(folder)
        rounds = [r for group in merged for r in group]
        model: AdaBoostPLClassificationModel = sequence_model(
            self,
            data,
            folder,
            [members[r.number] for r in rounds],
            [r.weight for r in rounds],
            "merged",
        )
        model.content["errors"] = [r.error for r in rounds]
        model.content["merged"] = [len(group) for group in merged]
        model.summary["fitted_now"] = len(members) - before
        model.summary["seconds"]["fit"] = round(time.perf_counter() - start, 3)
        return model


def merged_rounds(sequences: list[list[Round]]) -> list[list[Round]]:
    """Return the shards' rounds grouped into hypotheses, the largest weights first."""
    ranked = [
        sorted((r for r in rounds if r.counts), key=lambda r: (-r.weight, r.number))
        for rounds in sequences
    ]
    return [[r for r in group if r is not None] for group in zip_longest(*ranked)]
