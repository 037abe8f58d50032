"""A PySpark regressor of boosted trees, trained by ranks over all rows with XGBoost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from sparkml_dist.boosting.booster_model import BoosterModel
from sparkml_dist.boosting.estimator import BoostingEstimator
from sparkml_dist.models.regression_model import ShardRegressionModel
from sparkml_dist.models.regressor import ShardRegressor
from sparkml_dist.params import constructor

__all__ = ["XGBoostRegressionModel", "XGBoostRegressor"]


class XGBoostRegressionModel(BoosterModel, ShardRegressionModel):
    """The model of `XGBoostRegressor`; see `BoosterModel` for the attributes."""


class XGBoostRegressor(BoostingEstimator, ShardRegressor):
    """One gradient-boosted model of a number over all rows; trained like `XGBoostClassifier`.

    Parameters
    ----------
    objective : str or callable, optional
        ``"reg:squarederror"`` (the default), ``"reg:absoluteerror"``, ``"reg:pseudohubererror"``,
        ``"reg:squaredlogerror"``, ``"reg:quantileerror"`` (with
        ``extraParams={"quantile_alpha": 0.9}``), ``"reg:logistic"``, ``"reg:gamma"``,
        ``"reg:tweedie"``, ``"count:poisson"``, or a function as for `XGBoostClassifier`.
    evalMetric : list of str, optional
        ``rmse``, ``rmsle``, ``mae``, ``mape``, ``mphe``, ``quantile``, ``logloss``,
        ``poisson-nloglik``, ``gamma-nloglik``, ``gamma-deviance``, ``tweedie-nloglik``.
    numMembers, numRanks, learningRate, maxDepth, maxLeaves, growPolicy, maxBin, minChildWeight, \
minSplitLoss, subsample, colsampleByTree, regLambda, regAlpha, monotoneConstraints, \
interactionConstraints, validationFraction, stopMetric, patience, tol, checkpointRounds, \
maxRestarts, externalMemory, extraParams, stallTimeout, silenceTimeout, slotTimeout, \
featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol, predictionCol, \
numShards, memoryPerTask, shardsDir, modelDir, overwrite, resume, seed
        As for `XGBoostClassifier`.

    References
    ----------
    Chen, Guestrin (2016), "XGBoost: a scalable tree boosting system", arXiv:1603.02754.

    Examples
    --------
    >>> boosting = XGBoostRegressor(objective="count:poisson", labelCol="claims")
    >>> boosting.getNumRanks()
    2
    """

    _model_class: ClassVar[type[BoosterModel]] = XGBoostRegressionModel

    @constructor
    def __init__(
        self,
        *,
        numMembers: int = 100,
        numRanks: int = 2,
        learningRate: float = 0.3,
        maxDepth: int = 6,
        maxLeaves: int = 0,
        growPolicy: str = "depthwise",
        maxBin: int = 256,
        minChildWeight: float = 1.0,
        minSplitLoss: float = 0.0,
        subsample: float = 1.0,
        colsampleByTree: float = 1.0,
        regLambda: float = 1.0,
        regAlpha: float = 0.0,
        monotoneConstraints: dict[str, int] | None = None,
        interactionConstraints: Sequence[Sequence[str]] | None = None,
        objective: Any = None,
        evalMetric: Sequence[str] | None = None,
        validationFraction: float = 0.0,
        stopMetric: str | None = None,
        patience: int | None = None,
        tol: float = 0.0,
        checkpointRounds: int = 20,
        keepCheckpoints: int = 0,
        maxRestarts: int = 2,
        externalMemory: bool | None = None,
        extraParams: dict[str, Any] | None = None,
        stallTimeout: float = 600.0,
        silenceTimeout: float = 300.0,
        slotTimeout: float = 600.0,
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
