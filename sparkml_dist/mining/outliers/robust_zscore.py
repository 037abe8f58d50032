"""Robust z-scores: the distance of a value from its column's median, in median deviations."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.progress import job_description
from sparkml_dist.mining.outliers.outlier_params import OutlierEstimator
from sparkml_dist.mining.outliers.robust_zscore_model import RobustZScoreModel
from sparkml_dist.mining.point_survey import survey
from sparkml_dist.params import constructor, param

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from sparkml_dist.mining.point_columns import PointColumns
    from sparkml_dist.mining.point_survey import PointSurvey

__all__ = ["RobustZScore"]

_logger = logging.getLogger(__name__)

_THRESHOLD = 3.5
#: The median absolute deviation of a normal distribution in standard deviations, and the inverse
#: of its mean absolute deviation (Iglewicz and Hoaglin 1993).
_MEDIAN_DEVIATION, _MEAN_DEVIATION = 0.6745, 1.253314
#: Number of values up to which medians are exact whatever `relativeError` is.
_EXACT_VALUES = 1_000_000
#: Columns of one aggregation.
_COLUMNS_AT_ONCE = 200


class RobustZScore(OutlierEstimator):
    """Finds rows with a value far from its column's median.

    The z-score of a value is 0.6745 (x - median) / MAD, MAD being the median of the absolute
    deviations from the median; a row's score is the largest of its absolute z-scores. Where more
    than half of a column's values are equal and MAD is zero, (x - median) / (1.253314 MeanAD) takes
    its place, MeanAD being the mean of those deviations. The z-scores of a constant column are
    zero.

    Parameters
    ----------
    featuresCol, featuresCols : str, list of str
        Columns of coordinates; every numeric column when neither is given.
    contamination : float, optional
        Share of the training rows to label as outliers, in (0, 0.5]. When not set, scores above 3.5
        are outliers.
    relativeError : float, default=1e-4
        Share of the rows that may lie between a median and its approximation, in [0, 1]. Medians
        are exact where it is 0, and for up to a million values in all.
    predictionCol, scoreCol : str
        1.0 for outliers and 0.0 for others; the score, at least 0.
    columnCol : str, default="outlierColumn"
        Column for the name of the feature with the largest absolute z-score.
    zScoresCol : str, optional
        Column for all z-scores, an array in the order of the features.

    References
    ----------
    Iglewicz, Hoaglin (1993), How to Detect and Handle Outliers.

    Examples
    --------
    >>> waits = spark.createDataFrame([(1.0,), (1.1,), (0.9,), (1.0,), (9.0,)], ["seconds"])
    >>> model = RobustZScore().fit(waits)
    >>> model.transform(waits).where("prediction = 1").select("seconds", "outlierColumn").first()
    Row(seconds=9.0, outlierColumn='seconds')
    """

    relativeError: Any = param(
        "relativeError",
        "share of the rows that may lie between a median and its approximation, in [0, 1]",
        TypeConverters.toFloat,
    )
    columnCol: Any = param(
        "columnCol",
        "column for the feature with the largest z-score",
        TypeConverters.toString,
    )
    zScoresCol: Any = param(
        "zScoresCol", "column for the z-scores of all features", TypeConverters.toString
    )

    @constructor
    def __init__(
        self,
        *,
        relativeError: float = 0.0001,
        columnCol: str = "outlierColumn",
        zScoresCol: str | None = None,
        scoreCol: str = "outlierScore",
        contamination: float | None = None,
        featuresCols: Sequence[str] | None = None,
        featuresCol: str = "features",
        predictionCol: str = "prediction",
    ) -> None: ...

    def _fit(self, dataset: DataFrame) -> RobustZScoreModel:
        self._check()
        columns = self._columns(dataset)
        start = time.perf_counter()
        points = columns.points(dataset)
        with job_description(dataset.sparkSession, "sparkml_dist: medians of columns"):
            survey = _surveyed(points, columns)
            width = survey.widest
            error = self.getOrDefault(self.relativeError)
            error = 0.0 if survey.rows * width <= _EXACT_VALUES else error
            median = _aggregated(points, width, lambda x, _: _median(x, error))
            deviations = _aggregated(
                points, width, lambda x, i: _deviations(x, float(median[i]), error)
            )
        scale = deviations[:, 0] / _MEDIAN_DEVIATION
        flat = scale == 0
        scale[flat] = deviations[flat, 1] * _MEAN_DEVIATION
        constant = int((survey.low == survey.high).sum())
        if constant:
            _logger.warning("%d of %d columns are constant and have no effect", constant, width)
        # Rounding of the mean deviation of equal values must not become a scale.
        scale[survey.low == survey.high] = 0.0
        model = RobustZScoreModel(
            columns=columns,
            content={
                "width": width,
                "threshold": _THRESHOLD,
                "names": columns.feature_names(width),
            },
            arrays={"median": median, "scale": scale},
            summary={
                "rows": survey.rows,
                "constant_columns": constant,
                "zero_mad_columns": int(flat.sum()) - constant,
                "relative_error": error,
            },
        )
        fitted: RobustZScoreModel = self._with_threshold(model, dataset)
        fitted.summary["seconds"] = round(time.perf_counter() - start, 3)
        return fitted

    def _check(self) -> None:
        super()._check()
        error = self.getOrDefault(self.relativeError)
        self._require(self.relativeError, 0 <= error <= 1, "in [0, 1]")


def _surveyed(points: DataFrame, columns: PointColumns) -> PointSurvey:
    found = survey(points)
    found.check(columns)
    return found


def _aggregated(points: DataFrame, width: int, of: Any) -> npt.NDArray[np.float64]:
    """Return aggregates ``of(column, number)`` of the coordinates, one row per coordinate."""
    from pyspark.sql import functions as F

    found: list[Any] = []
    for start in range(0, width, _COLUMNS_AT_ONCE):
        chosen = range(start, min(width, start + _COLUMNS_AT_ONCE))
        row = points.agg(*[of(F.col("point")[i], i).alias(f"a{i}") for i in chosen]).first()
        assert row is not None  # an aggregation always gives a row
        found += list(row)
    return np.array(found, np.float64)


def _median(x: Column, error: float) -> Column:
    from pyspark.sql import functions as F

    if error == 0:
        return F.percentile(x, 0.5)
    return F.percentile_approx(x, 0.5, F.lit(max(1, round(1 / error))))


def _deviations(x: Column, median: float, error: float) -> Column:
    from pyspark.sql import functions as F

    deviation = F.abs(x - F.lit(median))
    return F.array(_median(deviation, error), F.avg(deviation))
