"""Estimators whose members are fitted inside silos, and vote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.dataset.columns import Task
from sparkml_dist.errors import ConfigurationError, nearest
from sparkml_dist.federated.ensembles.bagging import federated_members
from sparkml_dist.federated.silo_estimator import SiloEstimator
from sparkml_dist.learners.learner import refuse_unusable
from sparkml_dist.members.engine import member_files
from sparkml_dist.members.ensemble_model import EnsembleModel, voting_content
from sparkml_dist.members.learner_params import learner_plan
from sparkml_dist.members.voting_model import VotingClassificationModel, VotingRegressionModel
from sparkml_dist.models.grid_value import GridValue
from sparkml_dist.params import HasClassColumns, constructor, param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import dump_learner, load_learner

if TYPE_CHECKING:
    from sparkml_dist.federated.federation import Federation
    from sparkml_dist.models.loading import Saved

__all__ = ["FederatedBaggingClassifier", "FederatedBaggingRegressor"]

_WEIGHTINGS = ("rows", "equal")


class _FederatedBagging(SiloEstimator):
    """What both tasks have in common."""

    estimator: Any = param("estimator", "a scikit-learn learner", GridValue.of)
    numMembers: Any = param("numMembers", "members of each silo (>= 1)", TypeConverters.toInt)
    weighting: Any = param(
        "weighting",
        "whether silos count in the vote by their 'rows', or 'equal'",
        TypeConverters.toString,
    )
    bootstrap: Any = param(
        "bootstrap", "whether rows of a bag are drawn with replacement", TypeConverters.toBoolean
    )
    maxSamples: Any = param(
        "maxSamples", "share of a silo's rows in a bag, in (0, 1]", TypeConverters.toFloat
    )

    _object_params: ClassVar[tuple[str, ...]] = ("estimator",)
    _model_class: ClassVar[type[EnsembleModel]]

    def _voting(self) -> str:
        return "mean"

    def _learner(self) -> Any:
        if not self.isSet(self.estimator):
            raise ConfigurationError(
                "no_estimator",
                f"{type(self).__name__} needs an estimator.",
                "Pass estimator=sklearn.tree.DecisionTreeClassifier(max_depth=3), for example.",
            )
        return self.getOrDefault(self.estimator)

    def _check_params(self) -> None:
        members, share = self.getOrDefault(self.numMembers), self.getOrDefault(self.maxSamples)
        if members < 1:
            raise ConfigurationError("invalid_param", f"numMembers must be >= 1. Got {members}.")
        if not 0 < share <= 1:
            raise ConfigurationError("invalid_param", f"maxSamples must be in (0, 1]. Got {share}.")
        weighting = self.getOrDefault(self.weighting)
        if weighting not in _WEIGHTINGS:
            raise ConfigurationError(
                "invalid_param",
                f"weighting must be 'rows' or 'equal'. Got {weighting!r}."
                f"{nearest(weighting, _WEIGHTINGS)}",
            )
        refuse_unusable(self._learner(), voting=self._voting(), task=self._task)
        dump_learner(self._learner())  # silos make nothing but types of the allow-list

    def _plan(self) -> dict[str, Any]:
        names = ("numMembers", "weighting", "bootstrap", "maxSamples", "seed")
        own = {name: self.getOrDefault(self.getParam(name)) for name in names}
        return {**own, "learner": learner_plan(self._learner()), "voting": self._voting()}

    def _fit_silos(self, federation: Federation, folder: Folder) -> EnsembleModel:
        found = federated_members(
            federation,
            self._learner(),
            folder,
            members=self.getOrDefault(self.numMembers),
            weighting=self.getOrDefault(self.weighting),
            bootstrap=self.getOrDefault(self.bootstrap),
            max_samples=self.getOrDefault(self.maxSamples),
            minimum=self.getOrDefault(self.minSilos),
        )
        members = [
            {
                name: r[name]
                for name in ("member", "learner", "silo", "rows", "seconds", "task_seconds")
            }
            for r in found.records
        ]
        return self._model_class(
            folder,
            federation.schema.features,
            federation.schema.label,
            member_files(folder, found.records),
            voting_content(found.records, found.weights, self._voting()),
            {"members": members, "refused": found.refused, "seconds": {}},
        )

    def _save_object(self, folder: Folder, name: str) -> None:
        folder.write_bytes("learner-00000.skops", dump_learner(self._learner()))

    def _load_object(self, saved: Saved, name: str) -> None:
        for file in saved.names(head="learner-", suffix=".skops"):
            self._set(estimator=load_learner(saved.read_bytes(file), saved.folder.uri(file)))


class FederatedBaggingClassifier(_FederatedBagging, HasClassColumns):
    """A vote of classifiers that silos have fitted to their own rows: only members travel.

    Each silo fits copies of the estimator to bags of its rows and sends them as skops files. A
    member is checked when it arrives; a silo that sends something else is left out, and named in
    ``model.summary["refused"]``. A silo that saw only some of the classes gives the others no
    probability.

    Members that silos send may tell of their rows (a tree's thresholds are values of rows, and
    nearest neighbours are rows). Noise is not added.

    Parameters
    ----------
    estimator : scikit-learn classifier
        Of types on the allow-list.
    numMembers : int, default=1
        Members of each silo. A silo of several shards fits each member to one of them.
    weighting : {"rows", "equal"}, default="rows"
        Whether silos count in the vote by their rows, or all alike.
    bootstrap : bool, default=False
    maxSamples : float, default=1.0
        Share of the silo's rows (of one shard, where it has several) in a bag.
    voting : {"soft", "hard"}, default="soft"
    siloCol : str, default="silo"
        Column with the silo of each row, for ``fit(df)``.
    minSilos : int, default=1
        Silos that must answer.
    federationDir : str, optional
        Folder of silos' shards, rounds and ledgers.
    featuresCols, categoricalCols, keyCol, featuresCol, labelCol, weightCol, modelDir, overwrite, \
resume, predictionCol, seed, predictedLabelCol, probabilityCol, rawPredictionCol
        As for `BaggingClassifier`.

    References
    ----------
    Breiman (1996), "Bagging predictors"; Guha, Talwalkar, Smith (2019), "One-shot federated
    learning".

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> silos = iris.selectExpr("*", "pmod(hash(petal_length), 3) AS silo")
    >>> bagging = FederatedBaggingClassifier(
    ...     estimator=DecisionTreeClassifier(max_depth=3), labelCol="species"
    ... )
    >>> bagging.fit(silos).numMembers
    3
    """

    voting: Any = param(
        "voting", "'soft' (mean of probabilities) or 'hard' (majority)", TypeConverters.toString
    )

    _model_class = VotingClassificationModel

    @constructor
    def __init__(
        self,
        *,
        estimator: Any = None,
        numMembers: int = 1,
        weighting: str = "rows",
        bootstrap: bool = False,
        maxSamples: float = 1.0,
        voting: str = "soft",
        siloCol: str = "silo",
        minSilos: int = 1,
        federationDir: str | None = None,
        featuresCols: Sequence[str] | None = None,
        categoricalCols: Sequence[str] | None = None,
        keyCol: str | None = None,
        featuresCol: str = "features",
        labelCol: str = "label",
        weightCol: str | None = None,
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

    def _check_params(self) -> None:
        if self._voting() not in ("soft", "hard"):
            raise ConfigurationError(
                "invalid_param", f"voting must be 'soft' or 'hard'. Got {self._voting()!r}."
            )
        super()._check_params()


class FederatedBaggingRegressor(_FederatedBagging):
    """The mean of regressors that silos have fitted to their own rows: only members travel.

    See `FederatedBaggingClassifier`, whose Params it has but for those of classes.

    Parameters
    ----------
    estimator : scikit-learn regressor
    numMembers, weighting, bootstrap, maxSamples, siloCol, minSilos, federationDir, featuresCols, \
categoricalCols, keyCol, featuresCol, labelCol, weightCol, modelDir, overwrite, resume, \
predictionCol, seed
        As for `FederatedBaggingClassifier`.

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> silos = iris.drop("species").selectExpr("*", "pmod(hash(petal_length), 3) AS silo")
    >>> regressor = FederatedBaggingRegressor(
    ...     estimator=DecisionTreeRegressor(max_depth=3), labelCol="petal_width"
    ... )
    >>> regressor.fit(silos).transform(silos).where("prediction > 3").count()
    0
    """

    _task: ClassVar[Task] = "regression"
    _model_class = VotingRegressionModel

    @constructor
    def __init__(
        self,
        *,
        estimator: Any = None,
        numMembers: int = 1,
        weighting: str = "rows",
        bootstrap: bool = False,
        maxSamples: float = 1.0,
        siloCol: str = "silo",
        minSilos: int = 1,
        federationDir: str | None = None,
        featuresCols: Sequence[str] | None = None,
        categoricalCols: Sequence[str] | None = None,
        keyCol: str | None = None,
        featuresCol: str = "features",
        labelCol: str = "label",
        weightCol: str | None = None,
        modelDir: str | None = None,
        overwrite: bool = False,
        resume: bool = False,
        predictionCol: str = "prediction",
        seed: int = 0,
    ) -> None: ...
