"""Voting over shards: learners of different kinds, with set or learnt weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.sizing import DEFAULT_MEMORY_PER_TASK
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.ensemble.ensemble import (
    Ensemble,
    EnsembleClassifier,
    EnsembleRegressor,
    fit_totals,
)
from sparkml_dist.ensemble.voting.learned_weights import RESULT, learn_weights
from sparkml_dist.ensemble.voting.row_subsets import check_fraction, with_held_out
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.members.engine import Engine
from sparkml_dist.members.held_out import HELD_OUT, HeldOut
from sparkml_dist.members.member import MemberPlan
from sparkml_dist.members.sampling import Sampling
from sparkml_dist.members.voting_model import VotingClassificationModel, VotingRegressionModel
from sparkml_dist.models.grid_value import GridValue
from sparkml_dist.models.loading import Saved
from sparkml_dist.params import constructor, param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.sizes import parse_size

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = [
    "NamedLearners",
    "VotingClassifier",
    "VotingRegressor",
]


class NamedLearners(Ensemble):
    """Base of the ensembles with several named learners."""

    estimators: Any = param("estimators", "list of (name, scikit-learn learner)", GridValue.of)

    _object_params: ClassVar[tuple[str, ...]] = ("estimators",)

    def _learners(self) -> list[Any]:
        named = self._value(self.estimators)
        if not named:
            raise ConfigurationError(
                "no_estimator",
                f"{type(self).__name__} needs estimators.",
                "Pass estimators=[('tree', DecisionTreeClassifier()), …].",
            )
        return [learner for _, learner in named]

    def _names(self) -> list[str]:
        return [name for name, _ in self.getOrDefault(self.estimators)]

    def _check_params(self, spark: SparkSession) -> None:
        self._learners()
        names = self._names()
        if len(set(names)) != len(names):
            raise ConfigurationError(
                "duplicate_names", f"Names of estimators must differ. Got {names}."
            )
        super()._check_params(spark)

    def _member_plans(self, data: PartitionedDataset) -> list[MemberPlan]:
        """Plan a member for each learner and each group of shards."""
        all_rows = Sampling.of("pasting")
        per_member, n = self.getOrDefault(self.shardsPerMember), len(data.shards)
        groups = [tuple(range(s, min(s + per_member, n))) for s in range(0, n, per_member)]
        pairs = [(k, group) for k in range(len(self._learners())) for group in groups]
        return [MemberPlan(i, k, group, all_rows) for i, (k, group) in enumerate(pairs)]

    def _save_object(self, folder: Folder, name: str) -> None:
        super()._save_object(folder, name)
        folder.write_json("names.json", self._names())

    def _load_object(self, saved: Saved, name: str) -> None:
        learners = self._stored_learners(saved)
        if learners:
            names = saved.read_json("names.json")
            self._set(estimators=list(zip(names, learners, strict=True)))


class _Voting(NamedLearners):
    """Voting for classification and regression."""

    weights: Any = param("weights", "each learner's weight in the vote", TypeConverters.toListFloat)
    learnWeights: Any = param(
        "learnWeights",
        "whether to learn each learner's weight from validation rows",
        TypeConverters.toBoolean,
    )
    validationFraction: Any = param(
        "validationFraction", "share of rows held out for learnWeights", TypeConverters.toFloat
    )

    def _check_params(self, spark: SparkSession) -> None:
        weights, learners = self._value(self.weights), self._learners()
        if self.getOrDefault(self.learnWeights):
            if weights is not None:
                raise ConfigurationError(
                    "conflicting_params", "Set either weights or learnWeights, not both."
                )
            if self._voting() == "hard":
                raise ConfigurationError(
                    "conflicting_params", "learnWeights needs voting='soft'. Got 'hard'."
                )
            check_fraction(self.getOrDefault(self.validationFraction))
        if weights is not None:
            if len(weights) != len(learners):
                raise ConfigurationError(
                    "invalid_param",
                    f"weights must have one number for each of the {len(learners)} estimators. "
                    f"Got {len(weights)}.",
                )
            if min(weights) < 0 or sum(weights) <= 0:
                raise ConfigurationError(
                    "invalid_param", f"weights must be >= 0 and not all zero. Got {weights}."
                )
        super()._check_params(spark)

    def _member_weights(self, plans: Sequence[MemberPlan]) -> list[float]:
        weights = self._value(self.weights) or [1.0] * len(self._learners())
        return [float(weights[p.learner]) for p in plans]

    def _validation(self) -> Validation:
        return Validation(self.getOrDefault(self.validationFraction), self.getOrDefault(self.seed))

    def _member_plans(self, data: PartitionedDataset) -> list[MemberPlan]:
        plans = super()._member_plans(data)
        learns = self.getOrDefault(self.learnWeights)
        return with_held_out(plans, self._validation()) if learns else plans

    def _fit_members(self, engine: Engine) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        records = engine.fit()
        if not self.getOrDefault(self.learnWeights):
            return records, {}
        if engine.folder.exists(RESULT):
            learned = engine.folder.read_json(RESULT)
        else:
            home = engine.folder.child(HELD_OUT)
            memory = parse_size(self._value(self.memoryPerTask) or DEFAULT_MEMORY_PER_TASK)
            bank = engine.bank(records)
            held_out = HeldOut.of(engine.data, home, bank, self._validation(), memory)
            learners = [r["learner_index"] for r in records]
            learned = learn_weights(engine, held_out, learners)
        names = self._names()
        shown = dict(zip(names, learned["weights"], strict=True))
        more = {"learned": {"weights": shown, "rows": learned["rows"]}}
        return records, more | fit_totals(records, learned["predict_seconds"])

    def _after_fit(self, spark: SparkSession, data: PartitionedDataset, model: Any) -> None:
        if "learned" not in model.summary:
            return
        plans = self._member_plans(data)
        weights = list(model.summary["learned"]["weights"].values())
        for plan, member in zip(plans, model.content["members"], strict=True):
            member["weight"] = weights[plan.learner]


class VotingClassifier(_Voting, EnsembleClassifier):
    """Learners of different kinds that vote.

    Each learner is fitted on every shard (or group of ``shardsPerMember`` shards). The number of
    members is the number of learners times that of groups.

    Parameters
    ----------
    estimators : list of (str, scikit-learn classifier)
        Learners with their names.
    voting : {"soft", "hard"}, default="soft"
        Mean of the members' probabilities, or share of their votes.
    weights : list of float, optional
        Each learner's weight; equal by default.
    learnWeights : bool, default=False
        Learn each learner's weight: the convex weights with the least log loss on validation rows,
        which are held out from all members.
    validationFraction : float, default=0.1
        Share of the rows held out for ``learnWeights``.
    shardsPerMember : int, default=1
    seed, featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol, predictionCol, \
probabilityCol, rawPredictionCol, predictedLabelCol, numShards, memoryPerTask, shardsDir, \
modelDir, overwrite, resume, trustedTypes
        As for `BaggingClassifier`.

    References
    ----------
    Kittler, Hatef, Duin, Matas (1998), "On combining classifiers".

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> voting = VotingClassifier(
    ...     estimators=[("tree", DecisionTreeClassifier()), ("bayes", GaussianNB())], weights=[1, 2]
    ... )
    >>> voting.fit(data).weights
    [1.0, 1.0, 2.0, 2.0]
    """

    _model_class = VotingClassificationModel

    @constructor
    def __init__(
        self,
        *,
        weights: Sequence[float] | None = None,
        learnWeights: bool = False,
        validationFraction: float = 0.1,
        estimators: Any = None,
        voting: str = "soft",
        shardsPerMember: int = 1,
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


class VotingRegressor(_Voting, EnsembleRegressor):
    """Regressors of different kinds whose weighted mean is the prediction.

    Each is fitted on every shard, or group of ``shardsPerMember`` shards.

    Parameters
    ----------
    estimators : list of (str, scikit-learn regressor)
        Learners with their names.
    weights : list of float, optional
        Each learner's weight; equal by default.
    learnWeights : bool, default=False
        Learn each learner's weight: the convex weights with the least squared error on validation
        rows, which are held out from all members.
    validationFraction : float, default=0.1
        Share of the rows held out for ``learnWeights``.
    shardsPerMember : int, default=1
    seed, featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol, predictionCol, \
numShards, memoryPerTask, shardsDir, modelDir, overwrite, resume, trustedTypes
        As for `BaggingRegressor`.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> voting = VotingRegressor(
    ...     estimators=[("tree", DecisionTreeRegressor()), ("line", Ridge())], learnWeights=True
    ... )
    >>> voting.getValidationFraction()
    0.1
    """

    _model_class = VotingRegressionModel

    @constructor
    def __init__(
        self,
        *,
        weights: Sequence[float] | None = None,
        learnWeights: bool = False,
        validationFraction: float = 0.1,
        estimators: Any = None,
        shardsPerMember: int = 1,
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
    ) -> None: ...
