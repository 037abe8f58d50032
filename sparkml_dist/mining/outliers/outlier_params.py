"""Params of the outlier detectors, and the threshold that follows from `contamination`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import TypeConverters

from sparkml_dist.dataset.column_names import check_outputs, with_outputs
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.html.summary import Row
from sparkml_dist.mining.arrays_model import ArraysModel
from sparkml_dist.mining.point_estimator import PointEstimator
from sparkml_dist.params import param

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["OutlierEstimator", "OutlierModel"]

_SCORE = "_sparkml_dist_score"
_SCORE_COL: Any = param(
    "scoreCol", "column for the outlier score; higher is more anomalous", TypeConverters.toString
)


class OutlierEstimator(PointEstimator):
    """Base of the outlier detectors."""

    scoreCol: Any = _SCORE_COL
    contamination: Any = param(
        "contamination",
        "share of the training rows to label as outliers, in (0, 0.5]; the method's threshold "
        "when not set",
        TypeConverters.toFloat,
    )

    def _check(self) -> None:
        share = self._value(self.contamination)
        if share is not None and not 0 < share <= 0.5:
            raise ConfigurationError(
                "invalid_param",
                f"contamination must be in (0, 0.5]. Got {share!r}.",
                "It is the share of the rows that are outliers; leave it unset if it is not known.",
            )

    def _with_threshold(self, model: OutlierModel, df: DataFrame) -> Any:
        """Return the model with this estimator's Params and the threshold that they imply."""
        model._resetUid(self.uid)
        model = self._copyValues(model)
        share = self._value(self.contamination)
        if share is not None:
            name = model.getOrDefault("scoreCol")
            scores = model._training_scores(df).select(name)
            # A relative error of a tenth of the share is accurate enough.
            error = min(0.001, share / 10)
            model.content["threshold"] = scores.approxQuantile(name, [1 - share], error)[0]
        return model


class OutlierModel(ArraysModel):
    """Base of the fitted outlier detectors."""

    scoreCol: Any = _SCORE_COL

    _defaults: ClassVar[dict[str, Any]] = {"scoreCol": "outlierScore"}

    @property
    def threshold(self) -> float:
        """Rows with scores above it are outliers."""
        return float(self.content["threshold"])

    def _own_rows(self) -> Iterator[Row]:
        yield Row("threshold", f"{self.threshold:,.4g}", "(higher scores are outliers)")
        yield Row("adds", code=[self.getOrDefault("scoreCol"), self.getOrDefault("predictionCol")])

    def _score(self) -> Column:
        """Return the column of scores."""
        raise NotImplementedError

    def _training_scores(self, dataset: DataFrame) -> DataFrame:
        """Return training rows with the scores whose quantile is the threshold."""
        return self.transform(dataset)

    def _transform(self, dataset: DataFrame) -> DataFrame:
        self.columns.check(dataset)
        scored = dataset.select("*", self._score().alias(_SCORE))
        return self._with_score(scored)

    def _with_score(
        self,
        scored: DataFrame,
        more: Mapping[str, Column] | None = None,
        made_of: Sequence[str] = (),
    ) -> DataFrame:
        """Return rows with their score, the prediction and the columns of `more`.

        The columns `made_of` are dropped: only `more` needs them.
        """
        from pyspark.sql import functions as F

        score, prediction = self.getOrDefault("scoreCol"), self.getOrDefault("predictionCol")
        value = F.col(_SCORE)
        outlier = (value > F.lit(self.threshold)).cast("double")
        added = [(score, value), (prediction, outlier), *(more or {}).items()]
        check_outputs(scored, [name for name, _ in added])
        return with_outputs(scored, dict(added), temporary=[_SCORE, *made_of])
