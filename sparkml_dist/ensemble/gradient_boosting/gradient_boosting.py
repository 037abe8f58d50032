"""Gradient boosting over shards, with any regressor as the learner of its stages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparkml_dist.ensemble.gradient_boosting.estimator import GradientBoosting
from sparkml_dist.ensemble.gradient_boosting.model import (
    GradientBoostingClassificationModel,
    GradientBoostingRegressionModel,
)
from sparkml_dist.models.classifier import ShardClassifier
from sparkml_dist.models.regressor import ShardRegressor
from sparkml_dist.params import constructor

__all__ = [
    "GradientBoostingClassificationModel",
    "GradientBoostingClassifier",
    "GradientBoostingRegressionModel",
    "GradientBoostingRegressor",
]


class GradientBoostingClassifier(GradientBoosting, ShardClassifier):
    """Stages of regressors, each fitted to the gradient of the loss at the sum of earlier stages.

    The shards take turns. In every stage several shards fit the learner in parallel, each to the
    negative gradient of the log loss on its own rows: one regressor per class, or one in all for
    two classes. The stage's direction is the mean of their predictions. If the whole stage takes
    one step, the tasks of the next stage find its length, since they read their shards anyway: so a
    stage is one Spark job. The raw scores of all rows are stored beside the shards.

    Parameters
    ----------
    estimator : scikit-learn regressor
        The learner; a pipeline works as well.
    numMembers : int, default=100
        Stages.
    learningRate : float, default=0.1
    loss : {"log_loss"}, default="log_loss"
    lineSearch : {"leaf", "row", "stage", "none"}, optional
        How the length of a step is found. ``"leaf"``: each leaf of a tree takes a Newton step
        (Friedman's TreeBoost). ``"row"``: the learner is fitted to the Newton step of each row,
        weighted by the loss's curvature (LogitBoost). ``"stage"``: the learner is fitted to the
        gradient, and each stage takes one Newton step per class. ``"none"``: steps of length 1. By
        default the first that is possible: ``"leaf"`` for single trees, ``"row"`` for other
        learners that support weights, ``"stage"`` for the rest.
    shardsPerMember : int, optional
        Shards per stage. By default as many as tasks run at a time, and at most 8. Scoring takes
        time in proportion.
    maxSamples : float or int, default=1.0
        Rows of a shard that a stage learns from, drawn again in each: a share (a float), or a
        number.
    stopMetric : {"auc", "log_loss", "accuracy"}, optional
        Add stages until this score on held-out rows stops improving, and keep those up to the best
        score.
    tol : float, default=0.0
    patience : int, default=10
        Stages without an improvement of more than ``tol`` before the fit stops.
    validationFraction : float, default=0.1
        Share of the rows held out for ``stopMetric``.
    seed : int, default=0
    featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol, predictionCol, \
probabilityCol, rawPredictionCol, predictedLabelCol, numShards, memoryPerTask, shardsDir, \
modelDir, overwrite, resume, trustedTypes
        As for `BaggingClassifier`. ``rawPrediction`` holds the log odds.

    References
    ----------
    Friedman (2001), "Greedy function approximation: a gradient boosting machine". Friedman
    (2002), "Stochastic gradient boosting". Friedman, Hastie, Tibshirani (2000), "Additive
    logistic regression: a statistical view of boosting".

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> boosting = GradientBoostingClassifier(
    ...     estimator=DecisionTreeRegressor(max_depth=4), stopMetric="log_loss"
    ... )
    >>> boosting.getLoss()
    'log_loss'
    """

    _model_class = GradientBoostingClassificationModel

    @constructor
    def __init__(
        self,
        *,
        estimator: Any = None,
        numMembers: int = 100,
        learningRate: float = 0.1,
        loss: str = "log_loss",
        alpha: float | None = None,
        lineSearch: str | None = None,
        shardsPerMember: int | None = None,
        maxSamples: float | int = 1.0,
        stopMetric: str | None = None,
        tol: float = 0.0,
        patience: int = 10,
        validationFraction: float = 0.1,
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


class GradientBoostingRegressor(GradientBoosting, ShardRegressor):
    """Stages of regressors, each fitted to the gradient of the loss at the sum of earlier stages.

    Parameters
    ----------
    estimator : scikit-learn regressor
        The learner; a pipeline works as well.
    loss : {"squared_error", "absolute_error", "huber"}, default="squared_error"
    alpha : float, default=0.9
        For ``"huber"``: share of the residuals that count as small.
    numMembers, learningRate, lineSearch, shardsPerMember, maxSamples, stopMetric, tol, patience, \
validationFraction, seed, featuresCol, featuresCols, categoricalCols, labelCol, weightCol, \
keyCol, predictionCol, numShards, memoryPerTask, shardsDir, modelDir, overwrite, resume, \
trustedTypes
        As for `GradientBoostingClassifier`; ``lineSearch`` is not ``"row"``, and
        ``stopMetric`` is ``"rmse"``, ``"mae"`` or ``"r2"``.

    References
    ----------
    Friedman (2001), "Greedy function approximation: a gradient boosting machine".

    Examples
    --------
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> boosting = GradientBoostingRegressor(
    ...     estimator=DecisionTreeRegressor(max_depth=4), loss="huber", labelCol="price"
    ... )
    >>> boosting.getLoss()
    'huber'
    """

    _model_class = GradientBoostingRegressionModel

    @constructor
    def __init__(
        self,
        *,
        estimator: Any = None,
        numMembers: int = 100,
        learningRate: float = 0.1,
        loss: str = "squared_error",
        alpha: float | None = None,
        lineSearch: str | None = None,
        shardsPerMember: int | None = None,
        maxSamples: float | int = 1.0,
        stopMetric: str | None = None,
        tol: float = 0.0,
        patience: int = 10,
        validationFraction: float = 0.1,
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
