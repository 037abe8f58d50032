"""Evaluates a regression: Spark computes sums, the driver ratios."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.errors import DataError, nearest
from sparkml_dist.metrics.intervals import mean_interval

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["RegressionMetrics", "evaluate_regression"]


@dataclass(frozen=True)
class RegressionMetrics:
    """Metrics of a regressor on rows with known targets.

    Attributes
    ----------
    rmse : float
        Root of the mean squared error, in the target's unit.
    mae : float
        Mean absolute error, in the target's unit.
    r2 : float or None
        Share of the target's variance that is explained; None if the target is constant.
    rows : int
    intervals : dict of str to (float, float)
        95% intervals of `rmse` and `mae`, for independent rows.
    """

    rmse: float
    mae: float
    r2: float | None
    rows: int
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, float | None]:
        """Return the metrics, as in ``metrics.json``."""
        return {"rmse": self.rmse, "mae": self.mae, "r2": self.r2}


def evaluate_regression(
    predictions: DataFrame,
    *,
    label_col: str,
    prediction_col: str = "prediction",
    weight_col: str | None = None,
) -> RegressionMetrics:
    """Compare predictions with targets.

    Parameters
    ----------
    predictions : pyspark.sql.DataFrame
        Output of a model's ``transform``, including the targets; classic Spark or Connect.
    label_col, prediction_col : str
    weight_col : str, optional
        Row weights; equal by default.

    Returns
    -------
    RegressionMetrics

    Raises
    ------
    DataError
        ``column_not_found``, ``empty_data``, ``label_null`` or ``prediction_not_finite``.
    """
    from pyspark.sql import functions as F

    for name in (label_col, prediction_col, *([weight_col] if weight_col else [])):
        if name not in predictions.columns:
            raise DataError(
                "column_not_found",
                f"The predictions have no column {name!r}.{nearest(name, predictions.columns)}",
                f"Columns are: {', '.join(predictions.columns[:12])}.",
            )
    y = named_column(label_col).cast("double")
    p = named_column(prediction_col).cast("double")
    w = named_column(weight_col).cast("double") if weight_col else F.lit(1.0)
    unknown = y.isNull() | F.isnan(y)
    invalid = p.isNull() | F.isnan(p) | (F.abs(p) == float("inf"))
    # Centred values: the difference of uncentred sums loses all digits for large targets.
    mean = predictions.select(
        F.count(F.lit(1)).alias("n"),
        F.sum(F.when(unknown, 1).otherwise(0)).alias("unknown"),
        F.sum(F.when(invalid, 1).otherwise(0)).alias("invalid"),
        (F.sum(w * y) / F.sum(w)).alias("mean"),
    ).first()
    assert mean is not None
    if not mean["n"]:
        raise DataError("empty_data", "There are no rows to evaluate.", "Check the test data.")
    if mean["unknown"]:
        raise DataError(
            "label_null",
            f"The label column {label_col!r} is null or NaN in {mean['unknown']:,} of "
            f"{mean['n']:,} rows.",
            "Drop those rows or fill them in.",
        )
    if mean["invalid"]:
        raise DataError(
            "prediction_not_finite",
            f"{mean['invalid']:,} rows do not have a finite prediction.",
            "Check whether the model diverged, or whether features are infinite.",
        )
    sums = predictions.select(
        F.sum(w).alias("w"),
        F.sum(w * (y - p) * (y - p)).alias("squares"),
        F.sum(w * F.abs(y - p)).alias("absolute"),
        F.sum(w * w).alias("weight_squares"),
        F.sum(w * (y - p) * (y - p) * (y - p) * (y - p)).alias("fourth"),
        F.sum(w * (y - F.lit(mean["mean"])) * (y - F.lit(mean["mean"]))).alias("spread"),
    ).first()
    assert sums is not None
    square, absolute, fourth = (
        sums[name] / sums["w"] for name in ("squares", "absolute", "fourth")
    )
    effective = sums["w"] ** 2 / sums["weight_squares"]
    low, high = mean_interval(square, fourth, effective)
    return RegressionMetrics(
        rmse=math.sqrt(square),
        mae=absolute,
        r2=1.0 - sums["squares"] / sums["spread"] if sums["spread"] > 0 else None,
        rows=int(mean["n"]),
        intervals={
            "rmse": (math.sqrt(low), math.sqrt(high)),
            "mae": mean_interval(absolute, square, effective),
        },
    )
