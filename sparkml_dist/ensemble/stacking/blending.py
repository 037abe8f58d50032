"""Blending over shards: a final estimator learns from predictions on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyspark.ml.param import TypeConverters

from sparkml_dist.dataset.subsets import Subset, Validation
from sparkml_dist.ensemble.stacking.model import BlendingClassificationModel
from sparkml_dist.ensemble.stacking.stacked import Stacked
from sparkml_dist.ensemble.voting.row_subsets import check_fraction
from sparkml_dist.models.classifier import ShardClassifier
from sparkml_dist.params import constructor, param

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["BlendingClassificationModel", "BlendingClassifier"]


class BlendingClassifier(Stacked, ShardClassifier):
    """A cheaper form of stacking: the final estimator learns from held-out rows.

    Base learners are fitted once, with a random part of the rows held out. The final estimator
    learns from their predictions for those rows. Base learners are not fitted again.

    Parameters
    ----------
    estimators : list of (str, scikit-learn classifier)
        Base learners with their names. One without ``predict_proba`` contributes its votes.
    finalEstimator : scikit-learn classifier, optional
        `LogisticRegression` by default.
    validationFraction : float, default=0.1
        Share of the rows held out from the base learners, for the final estimator.
    passthrough, shardsPerMember, keepLevelOne, memoryPerTask, seed, featuresCol, featuresCols, \
categoricalCols, labelCol, weightCol, keyCol, predictionCol, probabilityCol, rawPredictionCol, \
predictedLabelCol, numShards, shardsDir, modelDir, overwrite, resume, trustedTypes
        As for `StackingClassifier`.

    References
    ----------
    Töscher, Jahrer, Bell (2009), "The BigChaos solution to the Netflix grand prize".

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> blending = BlendingClassifier(
    ...     estimators=[("tree", DecisionTreeClassifier()), ("bayes", GaussianNB())]
    ... )
    >>> blending.getValidationFraction()
    0.1
    """

    validationFraction: Any = param(
        "validationFraction",
        "share of rows held out from the base learners, for the final estimator",
        TypeConverters.toFloat,
    )

    _refits = False
    _model_class = BlendingClassificationModel

    @constructor
    def __init__(
        self,
        *,
        validationFraction: float = 0.1,
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

    def _parts(self) -> list[Subset]:
        return [
            Validation(self.getOrDefault(self.validationFraction), self.getOrDefault(self.seed))
        ]

    def _check_params(self, spark: SparkSession) -> None:
        check_fraction(self.getOrDefault(self.validationFraction))
        super()._check_params(spark)

    def _default_final(self) -> Any:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(max_iter=1000)
