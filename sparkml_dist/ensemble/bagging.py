"""Bagging over shards: bootstrap, pasting, random subspaces, random patches."""

from __future__ import annotations

from typing import Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.ensemble.bags import Sampling
from sparkml_dist.ensemble.ensemble import EnsembleClassifier
from sparkml_dist.ensemble.member import MemberPlan
from sparkml_dist.ensemble.voting import VotingClassificationModel
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.params import param
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["BaggingClassificationModel", "BaggingClassifier"]


class BaggingClassificationModel(VotingClassificationModel):
    """What `BaggingClassifier` fits: members that vote with equal say."""


class BaggingClassifier(EnsembleClassifier):
    """Many copies of one learner, each fitted on a random part of one or a few shards.

    Member *i* learns from shard *i* modulo the number of shards, so that memory is the shard's
    and not the data set's, and members beyond the number of shards see other bags of them.

    Parameters
    ----------
    estimator : scikit-learn classifier
        The learner; a pipeline works as well.
    numMembers : int, default=10
    method : {"bagging", "pasting", "subspaces", "patches"}, default="bagging"
        Rows with replacement (as Poisson weights, or by resampling for learners that take no
        weights), rows without replacement, a random part of the features, or of both. With
        bagging, the first member on each shard learns from the shard itself, which is a fair
        sample of the whole already; those that come back to it, from bootstraps of it.
    maxSamples : float, optional
        Expected rows of a bag as a share of its shards; 1.0, for patches 0.7. When it is set,
        every member of a bagging learns from a bootstrap.
    maxFeatures : float, optional
        Features of a member as a share of all; 1.0, for subspaces and patches 0.5.
    shardsPerMember : int, default=1
    voting : {"soft", "hard"}, default="soft"
    seed : int, default=0
    featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol
        Roles of columns; by default ``label``, and ``features`` or else all other columns.
    predictionCol, probabilityCol, rawPredictionCol, predictedLabelCol : str
        Names of the columns that the model adds.
    numShards, memoryPerTask, shardsDir
        How a DataFrame is cut; not used when `fit` is given a `PartitionedDataset`.
    modelDir, overwrite, resume
        Where the members are committed.
    trustedTypes : list of str, optional
        Types that members may contain beside the allow-list.

    References
    ----------
    Breiman (1996), "Bagging predictors". Breiman (1999), "Pasting small votes for classification
    in large databases and on-line". Ho (1998), "The random subspace method for constructing
    decision forests". Louppe, Geurts (2012), "Ensembles on random patches".
    Salloum, Huang, He, Chen (2019), doi:10.1109/ACCESS.2018.2889355.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier  # doctest: +SKIP
    >>> bagging = BaggingClassifier(  # doctest: +SKIP
    ...     estimator=DecisionTreeClassifier(), numMembers=50, labelCol="species"
    ... )
    >>> bagging.fit(df).transform(df)  # doctest: +SKIP
    """

    estimator: Any = param("estimator", "a scikit-learn classifier")
    numMembers: Any = param("numMembers", "number of members (>= 1)", TypeConverters.toInt)
    method: Any = param(
        "method", "'bagging', 'pasting', 'subspaces' or 'patches'", TypeConverters.toString
    )
    maxSamples: Any = param(
        "maxSamples", "expected rows of a bag as a share, in (0, 1]", TypeConverters.toFloat
    )
    maxFeatures: Any = param(
        "maxFeatures", "features of a member as a share, in (0, 1]", TypeConverters.toFloat
    )

    _object_params: ClassVar[tuple[str, ...]] = ("estimator",)
    _model_class = BaggingClassificationModel
    _defaults: ClassVar[dict[str, Any]] = {"numMembers": 10, "method": "bagging"}

    def _learners(self) -> list[Any]:
        if not self.isSet(self.estimator):
            raise ConfigurationError(
                "no_estimator",
                "BaggingClassifier needs an estimator.",
                "Pass estimator=sklearn.tree.DecisionTreeClassifier(), for example.",
            )
        return [self.getOrDefault(self.estimator)]

    def _sampling(self) -> Sampling:
        return Sampling.of(
            self.getOrDefault(self.method),
            self._value(self.maxSamples),
            self._value(self.maxFeatures),
        )

    def _check_params(self, spark: Any) -> None:
        self._sampling()
        if self.getOrDefault(self.numMembers) < 1:
            raise ConfigurationError(
                "invalid_members",
                f"numMembers must be >= 1. Got {self.getOrDefault(self.numMembers)}.",
            )
        super()._check_params(spark)

    def _member_plans(self, data: PartitionedDataset) -> list[MemberPlan]:
        sampling = self._sampling()
        per_member, n = self.getOrDefault(self.shardsPerMember), len(data.shards)
        # A shard is a fair sample already: drawing from it with replacement would only lose a
        # third of its rows. Members that share it with an earlier one need bags of their own.
        first = Sampling.of("pasting", max_features=sampling.max_features)
        untouched = n // per_member if sampling.replaces and not self.isSet(self.maxSamples) else 0
        return [
            MemberPlan(
                i,
                0,
                tuple(sorted((i * per_member + j) % n for j in range(per_member))),
                first if i < untouched else sampling,
            )
            for i in range(self.getOrDefault(self.numMembers))
        ]

    def _load_object(self, folder: Folder, name: str) -> None:
        learners = self._stored_learners(folder)
        if learners:
            self._set(estimator=learners[0])
