"""AdaBoost over shards, with the exact weight of every row."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.sizing import DEFAULT_MEMORY_PER_TASK
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.ensemble.adaboost.job import BoostingJob
from sparkml_dist.ensemble.adaboost.run import BoostingRun
from sparkml_dist.ensemble.adaboost.samme import Round, RoundLog, refuse_chance
from sparkml_dist.ensemble.adaboost.samme_vote import SammeVote
from sparkml_dist.ensemble.adaboost.sampled import SampledBoosting
from sparkml_dist.ensemble.one_learner import (
    OneLearnerClassifier,
    check_at_least_one,
    sequence_model,
)
from sparkml_dist.ensemble.waves import Stopping
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.learners.fitting import MEMBERS, committed_members
from sparkml_dist.learners.learner import Traits
from sparkml_dist.members.ensemble_model import EnsembleClassificationModel
from sparkml_dist.metrics.scores import check_score
from sparkml_dist.params import constructor, is_share_or_count, param, share_of, share_or_count
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["AdaBoostClassificationModel", "AdaBoostClassifier"]

# A task holds its rows once, and a learner may hold them up to two times more.
_BLOCKS_IN_MEMORY = 3
# Besides its features a row has a class, a key, and its weights before and after a round.
_ROW_BYTES = 48


class AdaBoostClassificationModel(EnsembleClassificationModel):
    """Members fitted one after the other, each with its own weight in the vote."""

    @property
    def estimatorWeights(self) -> list[float]:
        """Each member's weight in the vote."""
        return self.weights

    @property
    def estimatorErrors(self) -> list[float]:
        """Weighted share of the rows that each member misclassified when it was fitted."""
        return list(self.content["errors"])

    def _scorer(self) -> SammeVote:
        return SammeVote(self._bank())


class BoostingParams(OneLearnerClassifier):
    """Params of both forms of AdaBoost."""

    learningRate: Any = param(
        "learningRate", "factor of each member's weight in the vote (> 0)", TypeConverters.toFloat
    )

    def _check_params(self, spark: SparkSession) -> None:
        rate = self.getOrDefault(self.learningRate)
        if not (rate > 0 and math.isfinite(rate)):
            raise ConfigurationError("invalid_param", f"learningRate must be > 0. Got {rate}.")
        super()._check_params(spark)

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        return super()._plan(data) | {"learningRate": self.getOrDefault(self.learningRate)}

    def _job(
        self,
        spark: SparkSession,
        data: PartitionedDataset,
        folder: Folder,
        stopping: Stopping | None = None,
    ) -> BoostingJob:
        return BoostingJob(
            **self._maker_fields(spark, data, folder),
            rounds=self.getOrDefault(self.numMembers),
            rate=self.getOrDefault(self.learningRate),
            stopping=stopping,
        )


class AdaBoostClassifier(BoostingParams):
    """Copies of one learner, each with more weight on rows that earlier ones misclassified.

    SAMME, the AdaBoost for any number of classes, with exact global weights: the rows of all shards
    form one training set. If they fit into one task's memory, the result equals that of
    scikit-learn's ``AdaBoostClassifier`` on the same rows to the last bit, for any number of
    shards. Otherwise each round is one parallel pass over the shards, which predicts and weights
    every row, and each member learns from a sample drawn by weight.

    Parameters
    ----------
    estimator : scikit-learn classifier
        The learner; a pipeline works as well. Without support for weights it gets rows drawn by
        weight.
    numMembers : int, default=50
        Rounds, at most.
    learningRate : float, default=1.0
        Factor of each member's weight in the vote.
    maxSamples : float or int, optional
        Rows that each member learns from, as a share of all (a float) or as a number. By default
        all, or as many as fit into ``memoryPerTask`` (512 MiB by default).
    stopMetric : {"auc", "log_loss", "accuracy"}, optional
        Stop when this score on held-out rows stops improving; the model keeps the members up to the
        best score. If members learn from samples, the score is the mean over the shards.
    tol : float, default=0.0001
    patience : int, default=10
        Rounds without an improvement of more than ``tol`` before the fit stops.
    validationFraction : float, default=0.1
        Share of the rows held out for ``stopMetric``.
    seed : int, default=0
    featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol, predictionCol, \
probabilityCol, rawPredictionCol, predictedLabelCol, numShards, memoryPerTask, shardsDir, \
modelDir, overwrite, resume, trustedTypes
        As for `BaggingClassifier`.

    References
    ----------
    Freund, Schapire (1997), "A decision-theoretic generalization of on-line learning and an
    application to boosting". Zhu, Zou, Rosset, Hastie (2009), "Multi-class AdaBoost".

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> stump = DecisionTreeClassifier(max_depth=1)
    >>> boosting = AdaBoostClassifier(estimator=stump, numMembers=2).fit(data)
    >>> len(boosting.weights)
    2
    """

    maxSamples: Any = param(
        "maxSamples",
        "rows that each member learns from: a share in (0, 1], or a number; all that fit into "
        "memoryPerTask when not set",
        share_or_count,
    )
    stopMetric: Any = param(
        "stopMetric",
        "score on held-out rows that must improve for boosting to go on: 'auc', 'log_loss', "
        "'accuracy'; all rounds are run when not set",
        TypeConverters.toString,
    )
    tol: Any = param("tol", "least improvement of stopMetric that counts", TypeConverters.toFloat)
    patience: Any = param(
        "patience", "rounds without improvement before the fit stops (>= 1)", TypeConverters.toInt
    )
    validationFraction: Any = param(
        "validationFraction", "share of rows held out for stopMetric", TypeConverters.toFloat
    )

    _model_class = AdaBoostClassificationModel

    @constructor
    def __init__(
        self,
        *,
        maxSamples: float | int | None = None,
        stopMetric: str | None = None,
        tol: float = 0.0001,
        patience: int = 10,
        validationFraction: float = 0.1,
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

    def _check_params(self, spark: SparkSession) -> None:
        check_at_least_one(self, "patience")
        samples = self._value(self.maxSamples)
        if samples is not None and not is_share_or_count(samples):
            raise ConfigurationError(
                "invalid_param",
                f"maxSamples must be a share in (0, 1], or a whole number >= 1. Got {samples}.",
            )
        if self.isSet(self.memoryPerTask):
            parse_size(self.getOrDefault(self.memoryPerTask), "memoryPerTask")
        if self.isSet(self.stopMetric):
            check_score(self.getOrDefault(self.stopMetric), "stopMetric", regression=False)
            fraction = self.getOrDefault(self.validationFraction)
            if not 0 < fraction < 1:
                raise ConfigurationError(
                    "invalid_param",
                    f"validationFraction must be between 0 and 1. Got {fraction}.",
                )
        super()._check_params(spark)

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        plan = super()._plan(data) | {"maxSamples": self._sample_rows(data)}
        if self.isSet(self.stopMetric):
            names = ("stopMetric", "tol", "patience", "validationFraction")
            plan |= {name: self._value(self.getParam(name)) for name in names}
        return plan

    def _sample_rows(self, data: PartitionedDataset) -> int | None:
        """Return how many rows a member learns from; None for all."""
        wanted = self._value(self.maxSamples)
        if wanted is None:
            traits = Traits.of(self._learners()[0])
            features = data.n_features * 4.0
            if data.layout == "sparse" and traits.allows_sparse:
                features = sum(s.block_bytes for s in data.shards) / data.n_rows
            features *= np.dtype(traits.dtype).itemsize / 4
            memory = parse_size(self._value(self.memoryPerTask) or DEFAULT_MEMORY_PER_TASK)
            wanted = max(1, int(memory / (features * _BLOCKS_IN_MEMORY + _ROW_BYTES)))
        rows = max(1, round(share_of(wanted, data.n_rows) * data.n_rows))
        return None if rows >= data.n_rows else rows

    def _stopping(self) -> Stopping | None:
        if not self.isSet(self.stopMetric):
            return None
        held = Validation(self.getOrDefault(self.validationFraction), self.getOrDefault(self.seed))
        return Stopping(
            self.getOrDefault(self.stopMetric),
            self.getOrDefault(self.tol),
            self.getOrDefault(self.patience),
            1,
            held,
        )

    def _fit_shards(
        self, spark: SparkSession, data: PartitionedDataset, folder: Folder
    ) -> AdaBoostClassificationModel:
        start = time.perf_counter()
        job = self._job(spark, data, folder, self._stopping())
        before = len(committed_members(folder))
        sample = self._sample_rows(data)
        if sample is None:
            rounds, curve = _boost_in_one_task(spark, job)
        else:
            rounds, curve = SampledBoosting(spark, job, sample).fit()
        refuse_chance(rounds, job.n_classes)
        counted = [r for r in rounds if r.counts]
        if curve is not None:
            curve["stopped"] = len(rounds) < job.rounds
            counted = counted[: curve["best"] or None]
        members = committed_members(folder)
        model: AdaBoostClassificationModel = sequence_model(
            self,
            data,
            folder,
            [members[r.number] for r in counted],
            [r.weight for r in counted],
            "samme",
        )
        model.content["errors"] = [r.error for r in counted]
        model.summary["fitted_now"] = len(members) - before
        model.summary["sample_rows"] = sample
        if curve is not None:
            model.summary["curve"] = curve
        if rounds[-1].stop:
            model.summary["stop"] = rounds[-1].stop
        model.summary["seconds"]["fit"] = round(time.perf_counter() - start, 3)
        return model


def _boost_in_one_task(
    spark: SparkSession, job: BoostingJob
) -> tuple[list[Round], dict[str, Any] | None]:
    home, before = job.folder.child(MEMBERS), len(committed_members(job.folder))
    outcome = run_tasks(
        spark,
        [0],
        BoostingRun(job, (tuple(range(len(job.data.shards))),)),
        description=f"boost up to {job.rounds} members",
        count=lambda: len(home.names(".json")) - before,
    )[0]
    if outcome.error:
        raise outcome.error
    rounds = RoundLog.of(job.folder).run(0, outcome.result["rounds"])
    return rounds, outcome.result["curve"]
