"""The reliability curve: how well predicted probabilities match observed frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.metrics.evaluation import array_column, class_values, label_column

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["Reliability", "reliability"]


@dataclass(frozen=True)
class Reliability:
    """A reliability curve and its summary scores.

    Attributes
    ----------
    edges : ndarray of shape (bins + 1,)
        Edges of the probability bins.
    predicted : ndarray of shape (bins,)
        Mean predicted probability of a bin's rows; NaN if it is empty.
    observed : ndarray of shape (bins,)
        Share of a bin's rows whose prediction came true; NaN if it is empty.
    rows : ndarray of int, shape (bins,)
    ece : float
        Expected calibration error: mean absolute difference of `observed` and `predicted`, weighted
        by rows.
    brier : float
        Brier score: mean squared error of the probability of the second class of two, or for more
        classes the sum over all classes.
    of : object
        The class whose probability is evaluated; None for the predicted class of each row.
    """

    edges: npt.NDArray[np.float64]
    predicted: npt.NDArray[np.float64]
    observed: npt.NDArray[np.float64]
    rows: npt.NDArray[np.int64]
    ece: float
    brier: float
    of: Any

    def to_dict(self) -> dict[str, Any]:
        """Return the two scores and the non-empty bins as JSON values."""
        bins = [
            {"predicted": float(p), "observed": float(o), "rows": int(n)}
            for p, o, n in zip(self.predicted, self.observed, self.rows, strict=True)
            if n
        ]
        return {"ece": self.ece, "brier": self.brier, "bins": bins}


def reliability(
    predictions: DataFrame,
    *,
    label_col: str,
    classes: Sequence[Any],
    bins: int = 15,
    of: Any = None,
    probability_col: str = "probability",
) -> Reliability:
    """Compare predicted probabilities with observed frequencies.

    Takes one pass in the JVM; one row per bin reaches the driver.

    Parameters
    ----------
    predictions : pyspark.sql.DataFrame
        Output of a model's ``transform``, including the labels.
    label_col : str
    classes : sequence
        The model's class list, in the order of the probabilities.
    bins : int, default=15
        Bins of equal width.
    of : object, optional
        A class whose probability is evaluated against all others. By default the second class of
        two; for more classes, the probability of each row's predicted class.
    probability_col : str, default="probability"
        ML vector or array with one probability per class.

    Returns
    -------
    Reliability

    Raises
    ------
    ConfigurationError
        ``invalid_param`` or ``unknown_class``.
    DataError
        ``column_not_found``, ``unknown_label`` if no row has a known label, or
        ``prediction_not_finite``.

    References
    ----------
    DeGroot, Fienberg (1983), "The comparison and evaluation of forecasters". Guo, Pleiss, Sun,
    Weinberger (2017), "On calibration of modern neural networks". Brier (1950), "Verification of
    forecasts expressed in terms of probability".
    """
    from pyspark.sql import functions as F

    of = _checked(predictions, (label_col, probability_col), classes, bins, of)
    known = F.array(*map(F.lit, class_values(classes)))
    # Positions in SQL start at 1.
    rows = predictions.select(
        F.array_position(known, label_column(label_col, classes)).alias("code"),
        array_column(predictions, probability_col).alias("p"),
    ).where("code > 0")
    if of is None:
        confidence: Column = F.array_max("p")
        hit = F.array_position("p", confidence) == F.col("code")
    else:
        place = list(classes).index(of) + 1
        confidence, hit = F.element_at("p", place), F.col("code") == place
    total = F.aggregate("p", F.lit(0.0), lambda acc, x: acc + x * x)
    if len(classes) == 2:
        squares: Column = F.pow(F.lit(1.0) - F.element_at("p", F.col("code").cast("int")), 2)
    else:
        squares = total - 2 * F.element_at("p", F.col("code").cast("int")) + 1
    place_of = F.least(F.floor(confidence * bins), F.lit(bins - 1))
    counted = (
        rows.select(
            F.greatest(place_of, F.lit(0)).cast("int").alias("bin"),
            confidence.alias("confidence"),
            hit.cast("double").alias("hit"),
            squares.alias("squares"),
            (F.isnan(total) | total.isNull() | (total == float("inf"))).cast("int").alias("bad"),
        )
        .groupBy("bin")
        .agg(
            F.count(F.lit(1)).alias("rows"),
            *[F.sum(name).alias(name) for name in ("confidence", "hit", "squares", "bad")],
        )
        .collect()
    )
    if not counted:
        raise DataError(
            "unknown_label",
            f"No row has a label in {label_col!r} that is among the {len(classes)} classes.",
            "Check that the column is the label that the model was fitted on, and its values.",
        )
    if bad := sum(r["bad"] for r in counted):
        raise DataError(
            "prediction_not_finite",
            f"{bad:,} rows do not have {len(classes)} finite probabilities.",
            "Check whether the model diverged, or whether features are infinite.",
        )
    return _curve(counted, bins, of)


def _checked(
    predictions: DataFrame, columns: tuple[str, str], classes: Sequence[Any], bins: int, of: Any
) -> Any:
    for name in columns:
        if name not in predictions.columns:
            raise DataError(
                "column_not_found",
                f"The predictions have no column {name!r}.{nearest(name, predictions.columns)}",
                f"Columns are: {', '.join(predictions.columns[:12])}.",
            )
    if bins < 1:
        raise ConfigurationError("invalid_param", f"bins must be >= 1. Got {bins}.")
    if of is not None and of not in classes:
        raise ConfigurationError(
            "unknown_class",
            f"of must be one of the {len(classes)} classes. Got {of!r}.",
            f"Classes are: {', '.join(map(repr, classes[:12]))}.",
        )
    return classes[1] if of is None and len(classes) == 2 else of


def _curve(counted: Sequence[Any], bins: int, of: Any) -> Reliability:
    sums = {name: np.zeros(bins) for name in ("rows", "confidence", "hit", "squares")}
    for row in counted:
        for name, values in sums.items():
            values[row["bin"]] = row[name]
    rows = sums["rows"]
    total = rows.sum()
    with np.errstate(invalid="ignore"):
        predicted, observed = sums["confidence"] / rows, sums["hit"] / rows
    return Reliability(
        edges=np.linspace(0.0, 1.0, bins + 1),
        predicted=predicted,
        observed=observed,
        rows=rows.astype(np.int64),
        ece=float(np.abs(sums["confidence"] - sums["hit"]).sum() / total),
        brier=float(sums["squares"].sum() / total),
        of=of,
    )
