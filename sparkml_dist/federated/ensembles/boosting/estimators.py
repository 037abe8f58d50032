"""Boosted trees over silos as estimators."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.boosting.booster_model import BoosterModel
from sparkml_dist.boosting.classifier import XGBoostClassificationModel
from sparkml_dist.boosting.regressor import XGBoostRegressionModel
from sparkml_dist.boosting.saved_booster import require_xgboost
from sparkml_dist.dataset.columns import Task
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.ensembles.boosting.booster import MODEL_FILE, booster_content
from sparkml_dist.federated.ensembles.boosting.boosting import boost
from sparkml_dist.federated.ensembles.boosting.splits import Growth
from sparkml_dist.federated.silo_estimator import HasSecureSums, SiloEstimator
from sparkml_dist.params import HasClassColumns, constructor, param
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile

if TYPE_CHECKING:
    from sparkml_dist.federated.federation import Federation

__all__ = ["FederatedBoostingClassifier", "FederatedBoostingRegressor"]

_LEAST = {
    "numMembers": 1,
    "maxDepth": 1,
    "maxBin": 2,
    "minChildWeight": 0,
    "minSplitLoss": 0,
    "regLambda": 0,
}


class _FederatedBoosting(SiloEstimator, HasSecureSums):
    """What both tasks have in common."""

    numMembers: Any = param("numMembers", "rounds of boosting (>= 1)", TypeConverters.toInt)
    learningRate: Any = param("learningRate", "shrinkage of leaf values", TypeConverters.toFloat)
    maxDepth: Any = param("maxDepth", "greatest depth of a tree (1 to 16)", TypeConverters.toInt)
    maxBin: Any = param("maxBin", "most bins of a feature (>= 2)", TypeConverters.toInt)
    minChildWeight: Any = param(
        "minChildWeight", "least sum of hessians of a leaf (>= 0)", TypeConverters.toFloat
    )
    minSplitLoss: Any = param("minSplitLoss", "least gain of a split", TypeConverters.toFloat)
    regLambda: Any = param(
        "regLambda", "penalty on squared leaf values (>= 0)", TypeConverters.toFloat
    )

    _model_class: ClassVar[type[BoosterModel]]

    def _check_params(self) -> None:
        for name, least in _LEAST.items():
            value = self.getOrDefault(self.getParam(name))
            if not value >= least:
                raise ConfigurationError(
                    "invalid_param", f"{name} must be >= {least}. Got {value}."
                )
        depth, rate = self.getOrDefault(self.maxDepth), self.getOrDefault(self.learningRate)
        if depth > 16 or not rate > 0:
            raise ConfigurationError(
                "invalid_param",
                f"maxDepth must be at most 16, and learningRate > 0. Got {depth} and {rate}.",
            )
        require_xgboost()

    def _plan(self) -> dict[str, Any]:
        names = [*_LEAST, "learningRate", "secure"]
        return {name: self.getOrDefault(self.getParam(name)) for name in names}

    def _fit_silos(self, federation: Federation, folder: Folder) -> BoosterModel:
        found = boost(
            federation,
            rounds=self.getOrDefault(self.numMembers),
            growth=Growth(
                self.getOrDefault(self.maxDepth),
                self.getOrDefault(self.learningRate),
                self.getOrDefault(self.regLambda),
                self.getOrDefault(self.minChildWeight),
                self.getOrDefault(self.minSplitLoss),
            ),
            bins=self.getOrDefault(self.maxBin),
            minimum=self.getOrDefault(self.minSilos),
            secure=self._sum_protocol(),
        )
        content = booster_content(found, federation.schema.n_features)
        folder.write_bytes(MODEL_FILE, content)
        classes = federation.schema.n_classes
        metric = "rmse" if not classes else "logloss" if classes == 2 else "mlogloss"
        return self._model_class(
            folder,
            federation.schema.features,
            federation.schema.label,
            [ModelFile(MODEL_FILE, len(content), hashlib.sha256(content).hexdigest())],
            {},
            {"history": {metric: found.history}, "boosting_rounds": len(found.history)},
        )


class FederatedBoostingClassifier(_FederatedBoosting, HasClassColumns):
    """Gradient-boosted trees whose silos send sums of gradients in bins, and never rows.

    The silos agree on cut points of each feature by counts of their rows. For each level of a tree
    they send histograms of gradients and hessians, whose sum decides the splits. The sums are
    exact, so that the trees are those of all rows in one place, whichever silo holds them. The
    model is XGBoost's, and scores as that of `XGBoostClassifier` does.

    The coordinator sees each silo's histograms unless they are summed securely; a leaf of few rows
    tells much about them (`minChildWeight`).

    Parameters
    ----------
    numMembers : int, default=50
        Rounds: a tree for two classes, one for each class for more.
    learningRate, maxDepth, minChildWeight, minSplitLoss, regLambda : optional
        As XGBoost's. `maxDepth` is the number of messages of a silo for each tree.
    maxBin : int, default=64
        Most bins of a feature. Categories are taken as numbers.
    secure : bool, default=False
        Sum up securely: the coordinator sees no silo's histograms. Takes three silos or more.
    siloCol, minSilos, federationDir, featuresCols, categoricalCols, keyCol, featuresCol, \
labelCol, weightCol, modelDir, overwrite, resume, predictionCol, seed, predictedLabelCol, \
probabilityCol, rawPredictionCol
        As for `FederatedBaggingClassifier`.

    References
    ----------
    Chen, Guestrin (2016), "XGBoost: a scalable tree boosting system"; Tian et al. (2020),
    "FederBoost: private federated learning for GBDT".

    Examples
    --------
    >>> silos = iris.selectExpr("*", "pmod(hash(petal_length), 3) AS silo")
    >>> boosting = FederatedBoostingClassifier(numMembers=2, maxDepth=2, labelCol="species")
    >>> boosting.fit(silos).booster.num_boosted_rounds()
    2
    """

    _model_class = XGBoostClassificationModel

    @constructor
    def __init__(
        self,
        *,
        numMembers: int = 50,
        learningRate: float = 0.3,
        maxDepth: int = 4,
        maxBin: int = 64,
        minChildWeight: float = 1.0,
        minSplitLoss: float = 0.0,
        regLambda: float = 1.0,
        secure: bool = False,
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


class FederatedBoostingRegressor(_FederatedBoosting):
    """Gradient-boosted regression trees over silos; see `FederatedBoostingClassifier`.

    Parameters
    ----------
    numMembers, learningRate, maxDepth, maxBin, minChildWeight, minSplitLoss, regLambda, secure, \
siloCol, minSilos, federationDir, featuresCols, categoricalCols, keyCol, featuresCol, labelCol, \
weightCol, modelDir, overwrite, resume, predictionCol, seed
        As for `FederatedBoostingClassifier`.

    Examples
    --------
    >>> silos = iris.drop("species").selectExpr("*", "pmod(hash(petal_length), 3) AS silo")
    >>> regressor = FederatedBoostingRegressor(
    ...     numMembers=2, maxDepth=2, labelCol="petal_width"
    ... )
    >>> regressor.fit(silos).transform(silos).where("prediction > 3").count()
    0
    """

    _task: ClassVar[Task] = "regression"
    _model_class = XGBoostRegressionModel

    @constructor
    def __init__(
        self,
        *,
        numMembers: int = 50,
        learningRate: float = 0.3,
        maxDepth: int = 4,
        maxBin: int = 64,
        minChildWeight: float = 1.0,
        minSplitLoss: float = 0.0,
        regLambda: float = 1.0,
        secure: bool = False,
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
