"""Bagging over shards: bootstrap, pasting, random subspaces, random patches, balanced bags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.ensemble.ensemble import (
    Ensemble,
    EnsembleClassifier,
    EnsembleRegressor,
    fit_totals,
)
from sparkml_dist.ensemble.oob import out_of_bag, read_out_of_bag
from sparkml_dist.ensemble.waves import Stopping, fit_in_waves
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.members.bag import Draw
from sparkml_dist.members.combiner import Combiner
from sparkml_dist.members.engine import Engine
from sparkml_dist.members.member import MemberPlan
from sparkml_dist.members.sampling import Sampling
from sparkml_dist.members.voting_model import VotingClassificationModel, VotingRegressionModel
from sparkml_dist.metrics.scores import check_score
from sparkml_dist.models.grid_value import GridValue
from sparkml_dist.models.loading import Saved
from sparkml_dist.params import constructor, param, share_or_count
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile
from sparkml_dist.session import SessionInfo, get_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = [
    "BaggingClassificationModel",
    "BaggingClassifier",
    "BaggingRegressionModel",
    "BaggingRegressor",
]


class _OutOfBag:
    """Out-of-bag predictions of a model."""

    summary: dict[str, Any]
    folder: Folder
    files: tuple[ModelFile, ...]

    @property
    def oobScore(self) -> dict[str, float | None]:
        """Metrics of the out-of-bag predictions; needs ``oob=True``."""
        if "oob" not in self.summary:
            raise ConfigurationError(
                "not_kept", "The model was fitted without oob.", "Fit it with oob=True."
            )
        found: dict[str, float | None] = self.summary["oob"]["metrics"]
        return found

    @property
    def oobPredictions(self) -> DataFrame:
        """Rows with ``key``, ``label``, ``prediction`` and ``members`` (how many predicted it)."""
        _ = self.oobScore
        return read_out_of_bag(get_session(), self.folder, self.files)


class BaggingClassificationModel(_OutOfBag, VotingClassificationModel):
    """Fitted by `BaggingClassifier`: members that vote with equal weight."""


class BaggingRegressionModel(_OutOfBag, VotingRegressionModel):
    """Fitted by `BaggingRegressor`: members whose mean is the prediction."""


class _Bagging(Ensemble):
    """Bagging for classification and regression."""

    # A member depends on its number, and not on how many others there are.
    _growing = ("members", "sampling")

    estimator: Any = param("estimator", "a scikit-learn learner", GridValue.of)
    numMembers: Any = param("numMembers", "number of members, at most (>= 1)", TypeConverters.toInt)
    method: Any = param(
        "method",
        "'bagging', 'pasting', 'subspaces', 'patches' or (classes only) 'balanced'",
        TypeConverters.toString,
    )
    maxSamples: Any = param(
        "maxSamples", "expected rows of a bag: a share in (0, 1], or a number", share_or_count
    )
    maxFeatures: Any = param(
        "maxFeatures", "features of a member: a share in (0, 1], or a number", share_or_count
    )
    oob: Any = param("oob", "whether to predict every row out of bag", TypeConverters.toBoolean)
    stopMetric: Any = param(
        "stopMetric",
        "score on held-out rows that must improve for more members to be added: 'auc', 'log_loss', "
        "'accuracy', in a regression 'rmse', 'mae', 'r2'; all members are fitted when not set",
        TypeConverters.toString,
    )
    tol: Any = param("tol", "least improvement of stopMetric that counts", TypeConverters.toFloat)
    patience: Any = param(
        "patience", "waves without improvement before the fit stops (>= 1)", TypeConverters.toInt
    )
    waveSize: Any = param(
        "waveSize",
        "members added between two scores (>= 1); as many as tasks run at a time, and at least 4, "
        "when not set",
        TypeConverters.toInt,
    )
    validationFraction: Any = param(
        "validationFraction", "share of rows held out for stopMetric", TypeConverters.toFloat
    )

    _object_params: ClassVar[tuple[str, ...]] = ("estimator",)

    def _learners(self) -> list[Any]:
        if not self.isSet(self.estimator):
            example = "Regressor" if self._task == "regression" else "Classifier"
            raise ConfigurationError(
                "no_estimator",
                f"{type(self).__name__} needs an estimator.",
                f"Pass estimator=sklearn.tree.DecisionTree{example}(), for example.",
            )
        return [self.getOrDefault(self.estimator)]

    def _sampling(self) -> Sampling:
        return Sampling.of(
            self.getOrDefault(self.method),
            self._value(self.maxSamples),
            self._value(self.maxFeatures),
        )

    def _check_params(self, spark: SparkSession) -> None:
        sampling = self._sampling()
        if sampling.method == "balanced" and self._task == "regression":
            raise ConfigurationError(
                "invalid_param", "method='balanced' is for classes; a regression has none."
            )
        for name in ("numMembers", "patience", "waveSize"):
            value = self._value(self.getParam(name))
            if value is not None and value < 1:
                raise ConfigurationError("invalid_param", f"{name} must be >= 1. Got {value}.")
        if self.isSet(self.stopMetric):
            check_score(
                self.getOrDefault(self.stopMetric),
                "stopMetric",
                regression=self._task == "regression",
            )
            fraction = self.getOrDefault(self.validationFraction)
            if not 0 < fraction < 1:
                raise ConfigurationError(
                    "invalid_param",
                    f"validationFraction must be between 0 and 1. Got {fraction}.",
                )
        super()._check_params(spark)

    def _validation(self) -> Validation | None:
        """Return the rows held out from every member."""
        if not self.isSet(self.stopMetric):
            return None
        return Validation(self.getOrDefault(self.validationFraction), self.getOrDefault(self.seed))

    def _member_plans(self, data: PartitionedDataset) -> list[MemberPlan]:
        sampling, held_out = self._sampling(), self._validation()
        per_member, n = self.getOrDefault(self.shardsPerMember), len(data.shards)
        # A shard is a random sample already: a bootstrap of it would lose a third of its rows.
        # Later members that learn from the same shard need bags of their own.
        first = Sampling.of("pasting", max_features=sampling.max_features)
        whole = sampling.method == "bagging" and not self.isSet(self.maxSamples)
        untouched = n // per_member if whole else 0
        plans = []
        for i in range(self.getOrDefault(self.numMembers)):
            shards = tuple(sorted((i * per_member + j) % n for j in range(per_member)))
            own = first if i < untouched else sampling
            rows = sum(data.shards[j].rows for j in shards)
            plans.append(MemberPlan(i, 0, shards, own.sized(rows), held_out))
        return plans

    def _plan(self, data: PartitionedDataset) -> dict[str, Any]:
        plan = super()._plan(data)
        if self.isSet(self.stopMetric):
            names = ("stopMetric", "tol", "patience", "waveSize")
            plan |= {name: self._value(self.getParam(name)) for name in names}
        return plan

    def _fit_members(self, engine: Engine) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        held_out = self._validation()
        if held_out is None:
            return engine.fit(), {}
        stopping = Stopping(
            self.getOrDefault(self.stopMetric),
            self.getOrDefault(self.tol),
            self.getOrDefault(self.patience),
            self._value(self.waveSize) or max(4, SessionInfo.of(engine.spark).slots or 4),
            held_out,
        )

        def combine(records: Sequence[dict[str, Any]]) -> Combiner:
            return Combiner(engine.bank(records), self._voting())  # type: ignore[arg-type]

        records, curve = fit_in_waves(engine, stopping, combine)
        predicting = curve.pop("predict_seconds")
        return records, {"curve": curve} | fit_totals(records, predicting)

    def _after_fit(self, spark: SparkSession, data: PartitionedDataset, model: Any) -> None:
        if not self.getOrDefault(self.oob):
            return
        plans, seed = self._member_plans(data), self.getOrDefault(self.seed)
        draws = []
        for name in (m["file"] for m in model.content["members"]):
            record = model.folder.read_json(name.removesuffix(".skops") + ".json")
            plan = plans[record["member"]]
            rates = record["class_rates"]
            draw = Draw(
                plan.index,
                seed,
                plan.sampling,
                plan.without,
                None if rates is None else tuple(rates),
                record["mean_weight"],
                record["everything"],
            )
            draws.append((plan.shards, draw))
        files, summary = out_of_bag(spark, data, model.folder, model._task_scorer(), draws)
        model.files += tuple(files)
        model.summary["oob"] = summary

    def _load_object(self, saved: Saved, name: str) -> None:
        learners = self._stored_learners(saved)
        if learners:
            self._set(estimator=learners[0])


class BaggingClassifier(_Bagging, EnsembleClassifier):
    """Many copies of one learner, each fitted on a random part of one or a few shards.

    Member *i* learns from shard *i* modulo the number of shards. A task therefore needs memory for
    one shard, not for the data set; members beyond the number of shards get new bags.

    Parameters
    ----------
    estimator : scikit-learn classifier
        The learner; a pipeline works as well.
    numMembers : int, default=10
    method : {"bagging", "pasting", "subspaces", "patches", "balanced"}, default="bagging"
        Rows with replacement (as Poisson weights, or by resampling for learners without support for
        weights), rows without replacement, a random part of the features, or of both; or rows with
        replacement, equally many of each class (those of the rarest class, or 128 if that is more).
        With bagging, the first member on each shard learns from the shard itself, which is a random
        sample of the whole already; later members on it learn from bootstraps. Balanced bags give
        probabilities for equally frequent classes; calibrate them if that matters.
    maxSamples : float or int, optional
        Expected rows of a bag: a share of its shards (a float), or a number of rows (an int; all if
        there are fewer). By default 1.0, for patches 0.7; must be a share for balanced bags. If
        set, every member of bagging learns from a bootstrap.
    maxFeatures : float or int, optional
        Features of a member, as a share of all or as a number; by default 1.0, for subspaces and
        patches 0.5.
    shardsPerMember : int, default=1
    voting : {"soft", "hard"}, default="soft"
    oob : bool, default=False
        Predict every row by the members that did not learn from it; see ``model.oobScore``.
    stopMetric : {"auc", "log_loss", "accuracy"}, optional
        Add members in waves until this score on held-out rows stops improving.
    tol : float, default=0.001
    patience : int, default=2
        Waves without an improvement of more than ``tol`` before the fit stops.
    waveSize : int, optional
    validationFraction : float, default=0.1
        Share of the rows held out for ``stopMetric``.
    seed : int, default=0
    featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol
        Roles of columns; by default ``label``, and ``features`` or else all other columns.
    predictionCol, probabilityCol, rawPredictionCol, predictedLabelCol : str
        Names of the columns that the model adds.
    numShards, memoryPerTask, shardsDir
        How a DataFrame is partitioned; ignored if `fit` gets a `PartitionedDataset`.
    modelDir, overwrite, resume
        Where the members are committed.
    trustedTypes : list of str, optional
        Types that members may contain in addition to the allow-list.

    References
    ----------
    Breiman (1996), "Bagging predictors". Breiman (1999), "Pasting small votes for classification
    in large databases and on-line". Ho (1998), "The random subspace method for constructing
    decision forests". Louppe, Geurts (2012), "Ensembles on random patches". Chen, Liaw,
    Breiman (2004), "Using random forest to learn imbalanced data". Breiman (1996), "Out-of-bag
    estimation". Salloum, Huang, He, Chen (2019), doi:10.1109/ACCESS.2018.2889355.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> bagging = BaggingClassifier(
    ...     estimator=DecisionTreeClassifier(), numMembers=4, labelCol="species", numShards=2
    ... )
    >>> model = bagging.fit(iris)
    >>> model.transform(iris).where("predictedLabel = species").count() > 140
    True
    """

    _model_class = BaggingClassificationModel

    @constructor
    def __init__(
        self,
        *,
        estimator: Any = None,
        numMembers: int = 10,
        method: str = "bagging",
        maxSamples: float | int | None = None,
        maxFeatures: float | int | None = None,
        oob: bool = False,
        stopMetric: str | None = None,
        tol: float = 0.001,
        patience: int = 2,
        waveSize: int | None = None,
        validationFraction: float = 0.1,
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


class BaggingRegressor(_Bagging, EnsembleRegressor):
    """Many copies of one regressor, each fitted on a random part of one or a few shards.

    The prediction is the mean of the members' predictions.

    Parameters
    ----------
    estimator : scikit-learn regressor
        The learner; a pipeline works as well.
    numMembers, method, maxSamples, maxFeatures, shardsPerMember, oob, stopMetric, tol, patience, \
waveSize, validationFraction, seed, featuresCol, featuresCols, categoricalCols, labelCol, \
weightCol, keyCol, predictionCol, numShards, memoryPerTask, shardsDir, modelDir, overwrite, \
resume, trustedTypes
        As for `BaggingClassifier`; there are no balanced bags, and ``stopMetric`` is ``"rmse"``,
        ``"mae"`` or ``"r2"``.

    References
    ----------
    Breiman (1996), "Bagging predictors".

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> bagging = BaggingRegressor(
    ...     estimator=DecisionTreeRegressor(), numMembers=50, labelCol="price"
    ... )
    >>> bagging.getNumMembers()
    50
    """

    _model_class = BaggingRegressionModel

    @constructor
    def __init__(
        self,
        *,
        estimator: Any = None,
        numMembers: int = 10,
        method: str = "bagging",
        maxSamples: float | int | None = None,
        maxFeatures: float | int | None = None,
        oob: bool = False,
        stopMetric: str | None = None,
        tol: float = 0.001,
        patience: int = 2,
        waveSize: int | None = None,
        validationFraction: float = 0.1,
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
