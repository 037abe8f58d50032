"""Pasting small votes on every shard: IVotes and RVotes, and their distributed forms."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.ensemble.bagging.bites import BiteSequence
from sparkml_dist.ensemble.one_learner import (
    OneLearnerClassifier,
    check_at_least_one,
    raise_shard_failures,
    sequence_model,
)
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.learners.fitting import MEMBERS, committed_members
from sparkml_dist.members.voting_model import VotingClassificationModel
from sparkml_dist.params import constructor, param
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["IVotesClassificationModel", "IVotesClassifier"]

METHODS = ("ivotes", "rvotes")


class IVotesClassificationModel(VotingClassificationModel):
    """Members fitted on small bites of the shards, which vote with equal weight."""

    @property
    def oobError(self) -> float:
        """Share of rows that the out-of-bag vote of their shard's own members predicts wrongly.

        The mean over the shards, weighted by rows. The vote of all shards' members does better.
        """
        shards = [s for s in self.summary["shards"] if s["errors"]]
        rows = sum(s["rows"] for s in shards)
        return float(sum(s["errors"][-1] * s["rows"] for s in shards) / rows)


class IVotesClassifier(OneLearnerClassifier):
    """Many members on small bites of data, drawn preferably where the vote so far is wrong.

    Each shard has a sequence of its own (DIVotes). Its first bite is random. Each further bite
    takes the rows that the out-of-bag vote gets wrong, and about as many of the others. A sequence
    stops when its out-of-bag error stops falling. The members of all shards vote together.

    Parameters
    ----------
    estimator : scikit-learn classifier
        The learner; a pipeline works as well. It need not support weights.
    numMembers : int, default=100
        Members of all shards together, at most.
    biteSize : int, default=800
        Rows of a bite; at most two thirds of a shard, so that some rows stay out of bag.
    method : {"ivotes", "rvotes"}, default="ivotes"
        Bites drawn by importance, or random bites.
    voting : {"hard", "soft"}, default="hard"
        How the model combines members. Out-of-bag votes are always hard.
    tol : float, default=0.0005
        Smallest decrease of a shard's averaged out-of-bag error that counts.
    patience : int, default=10
        Members without such a decrease before a shard's sequence stops.
    seed, featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol, predictionCol, \
probabilityCol, rawPredictionCol, predictedLabelCol, numShards, memoryPerTask, shardsDir, \
modelDir, overwrite, resume, trustedTypes
        As for `BaggingClassifier`. A row of weight w counts like w rows.

    References
    ----------
    Breiman (1999), "Pasting small votes for classification in large databases and on-line".
    Chawla, Hall, Bowyer, Kegelmeyer (2004), "Learning ensembles from bites: a scalable and
    accurate approach".

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> votes = IVotesClassifier(
    ...     estimator=DecisionTreeClassifier(), numMembers=200, numShards=8, labelCol="species"
    ... )
    >>> votes.getNumMembers()
    200
    """

    biteSize: Any = param("biteSize", "rows of a bite (>= 1)", TypeConverters.toInt)
    method: Any = param("method", "'ivotes' or 'rvotes'", TypeConverters.toString)
    voting: Any = param(
        "voting", "'hard' (majority) or 'soft' (mean of probabilities)", TypeConverters.toString
    )
    tol: Any = param(
        "tol", "smallest decrease of the out-of-bag error that counts", TypeConverters.toFloat
    )
    patience: Any = param(
        "patience",
        "members without a lower out-of-bag error before a shard's sequence stops (>= 1)",
        TypeConverters.toInt,
    )

    _model_class: ClassVar[type[Any]] = IVotesClassificationModel

    @constructor
    def __init__(
        self,
        *,
        biteSize: int = 800,
        method: str = "ivotes",
        voting: str = "hard",
        tol: float = 0.0005,
        patience: int = 10,
        estimator: Any = None,
        numMembers: int = 100,
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

    def _voting(self) -> str:
        voting: str = self.getOrDefault(self.voting)
        return voting

    def _check_params(self, spark: SparkSession) -> None:
        check_at_least_one(self, "biteSize", "patience")
        for name, known in (("method", METHODS), ("voting", ("hard", "soft"))):
            value = self.getOrDefault(self.getParam(name))
            if value not in known:
                choices = " or ".join(map(repr, known))
                raise ConfigurationError(
                    "invalid_param", f"{name} must be {choices}. Got {value!r}."
                )
        if not math.isfinite(self.getOrDefault(self.tol)):
            raise ConfigurationError("invalid_param", "tol must be a finite number.")
        super()._check_params(spark)

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        names = ("biteSize", "method", "voting", "tol", "patience")
        own = {name: self.getOrDefault(self.getParam(name)) for name in names}
        return super()._plan(data) | own

    def _fit_shards(
        self, spark: SparkSession, data: PartitionedDataset, folder: Folder
    ) -> IVotesClassificationModel:
        start = time.perf_counter()
        members, n = self.getOrDefault(self.numMembers), len(data.shards)
        task = BiteSequence(
            **self._maker_fields(spark, data, folder),
            members=tuple((members + n - 1 - s) // n for s in range(n)),
            size=self.getOrDefault(self.biteSize),
            important=self.getOrDefault(self.method) == "ivotes",
            tol=self.getOrDefault(self.tol),
            patience=self.getOrDefault(self.patience),
        )
        home, before = folder.child(MEMBERS), len(committed_members(folder))
        outcomes = run_tasks(
            spark,
            [s for s in range(n) if task.members[s]],
            task,
            description=f"fit bites of {n} shards",
            count=lambda: (len(home.names(".json")) - before) // max(task.members),
        )
        raise_shard_failures(outcomes)
        committed = committed_members(folder)
        records = [committed[m] for o in outcomes for m in o.result["members"]]
        model: IVotesClassificationModel = sequence_model(
            self, data, folder, records, [1.0] * len(records), self._voting()
        )
        model.summary["shards"] = [o.result for o in outcomes]
        model.summary["fitted_now"] = len(committed) - before
        model.summary["seconds"]["fit"] = round(time.perf_counter() - start, 3)
        return model
