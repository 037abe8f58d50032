"""Stacking over shards: a final estimator learns from out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyspark.ml.param import TypeConverters

from sparkml_dist.dataset.subsets import Fold, Subset
from sparkml_dist.ensemble.stacking.model import (
    StackingClassificationModel,
    StackingRegressionModel,
)
from sparkml_dist.ensemble.stacking.stacked import Stacked
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.models.classifier import ShardClassifier
from sparkml_dist.models.regressor import ShardRegressor
from sparkml_dist.params import constructor, param

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = [
    "StackingClassificationModel",
    "StackingClassifier",
    "StackingRegressionModel",
    "StackingRegressor",
]


class _Stacking(Stacked):
    """Stacking for classification and regression."""

    numFolds: Any = param("numFolds", "folds, hashed on the row key (>= 2)", TypeConverters.toInt)

    _refits = True

    def _parts(self) -> list[Subset]:
        n, seed = self.getOrDefault(self.numFolds), self.getOrDefault(self.seed)
        return [Fold(n, i, seed) for i in range(n)]

    def _check_params(self, spark: SparkSession) -> None:
        if self.getOrDefault(self.numFolds) < 2:
            raise ConfigurationError(
                "invalid_param", f"numFolds must be >= 2. Got {self.getOrDefault(self.numFolds)}."
            )
        super()._check_params(spark)


class StackingClassifier(_Stacking, ShardClassifier):
    """Classifiers of different kinds, and a final one that learns from their predictions.

    For each fold, every base learner is fitted on the shards without the rows of that fold, and
    predicts those rows. These out-of-fold predictions form a data set of their own, *level one*,
    with as many rows as the data and a few columns; they are written beside the shards and never
    pass through the driver. The final estimator learns from them, and the base learners are fitted
    again on all rows. Folds are functions of a row's key: rows with equal keys are in one fold,
    even if they are in different shards.

    Parameters
    ----------
    estimators : list of (str, scikit-learn classifier)
        Base learners with their names. One without ``predict_proba`` contributes its votes.
    finalEstimator : scikit-learn classifier, optional
        `LogisticRegression` by default.
    numFolds : int, default=5
    passthrough : bool, default=False
        Whether the final estimator also gets the original features.
    shardsPerMember : int, default=1
        A base learner has one member per group of this many shards; its output is their mean.
    keepLevelOne : bool, default=False
        Keep the level-one data in the model's folder, for ``model.levelOne``.
    memoryPerTask : str, default="512m"
        The final estimator learns from all of level one in one task if that fits in this memory;
        otherwise it has one member per group of shards that fits, and predicts their mean.
    seed, featuresCol, featuresCols, categoricalCols, labelCol, weightCol, keyCol, predictionCol, \
probabilityCol, rawPredictionCol, predictedLabelCol, numShards, shardsDir, modelDir, overwrite, \
resume, trustedTypes
        As for `BaggingClassifier`.

    References
    ----------
    Wolpert (1992), "Stacked generalization". Ting, Witten (1999), "Issues in stacked
    generalization". van der Laan, Polley, Hubbard (2007), "Super learner".

    Examples
    --------
    >>> from sklearn.ensemble import HistGradientBoostingClassifier
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> stacking = StackingClassifier(
    ...     estimators=[
    ...         ("tree", DecisionTreeClassifier(max_depth=8)),
    ...         ("boosting", HistGradientBoostingClassifier()),
    ...     ],
    ...     labelCol="species",
    ... )
    >>> stacking.getNumFolds()
    5
    """

    _model_class = StackingClassificationModel

    @constructor
    def __init__(
        self,
        *,
        numFolds: int = 5,
        finalEstimator: Any = None,
        passthrough: bool = False,
        keepLevelOne: bool = False,
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
        predictedLabelCol: str = "predictedLabel",
        probabilityCol: str = "probability",
        rawPredictionCol: str = "rawPrediction",
    ) -> None: ...

    def _default_final(self) -> Any:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=1000)


class StackingRegressor(_Stacking, ShardRegressor):
    """Regressors of different kinds, and a final one that learns from their predictions.

    Parameters
    ----------
    estimators : list of (str, scikit-learn regressor)
        Base learners with their names.
    finalEstimator : scikit-learn regressor, optional
        `Ridge` by default.
    numFolds, passthrough, shardsPerMember, keepLevelOne, memoryPerTask, seed, featuresCol, \
featuresCols, categoricalCols, labelCol, weightCol, keyCol, predictionCol, numShards, shardsDir, \
modelDir, overwrite, resume, trustedTypes
        As for `StackingClassifier`.

    References
    ----------
    Wolpert (1992), "Stacked generalization". Breiman (1996), "Stacked regressions".

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.tree import DecisionTreeRegressor
    >>> stacking = StackingRegressor(
    ...     estimators=[("tree", DecisionTreeRegressor()), ("line", Ridge())], labelCol="price"
    ... )
    >>> stacking.getNumFolds()
    5
    """

    _model_class = StackingRegressionModel

    @constructor
    def __init__(
        self,
        *,
        numFolds: int = 5,
        finalEstimator: Any = None,
        passthrough: bool = False,
        keepLevelOne: bool = False,
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

    def _default_final(self) -> Any:
        from sklearn.linear_model import Ridge

        return Ridge()
