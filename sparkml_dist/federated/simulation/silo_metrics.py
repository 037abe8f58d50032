"""Scores of a model in each silo, and how fair they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.dataset.labels import by_position
from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.errors import DataError, nearest
from sparkml_dist.metrics.evaluation import array_column, class_values, label_column

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

__all__ = ["SiloMetrics", "silo_metrics"]

_LEAST = 1e-15


@dataclass(frozen=True, eq=False)
class SiloMetrics:
    """Scores of one model in each silo.

    Attributes
    ----------
    table : pandas.DataFrame
        A row for each silo: ``silo``, ``rows``, and ``accuracy`` and ``log_loss``, or ``rmse`` and
        ``mae``.
    metric : str
        The score that fairness is about: ``"accuracy"`` or ``"rmse"``.
    """

    table: pd.DataFrame
    metric: str

    @property
    def worst_silo(self) -> str:
        """The silo with the worst score."""
        scores = self.table[self.metric]
        at = scores.idxmin() if self.metric == "accuracy" else scores.idxmax()
        return str(self.table.loc[at, "silo"])

    @property
    def worst(self) -> float:
        """The worst score of a silo."""
        scores = self.table[self.metric]
        return float(scores.min() if self.metric == "accuracy" else scores.max())

    @property
    def mean(self) -> float:
        """Mean of the silos' scores, each silo counted once."""
        return float(self.table[self.metric].mean())

    @property
    def variance(self) -> float:
        """Variance of the silos' scores: 0 where the model is as good in all of them."""
        return float(np.var(self.table[self.metric]))

    @property
    def pooled(self) -> float:
        """The score of all rows together."""
        rows, scores = self.table["rows"], self.table[self.metric]
        if self.metric == "accuracy":
            return float(np.average(scores, weights=rows))
        return float(np.sqrt(np.average(scores**2, weights=rows)))

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as JSON values: ``silos``, ``worst_silo``, ``worst``, ``variance``."""
        silos = {
            str(row["silo"]): {k: v for k, v in row.items() if k != "silo"}
            for row in self.table.to_dict("records")
        }
        return {
            "metric": self.metric,
            "silos": silos,
            "worst_silo": self.worst_silo,
            "worst": self.worst,
            "mean": self.mean,
            "variance": self.variance,
        }


def silo_metrics(
    predictions: DataFrame,
    *,
    siloCol: str = "silo",
    labelCol: str = "label",
    classes: Sequence[Any] | None = None,
    predictionCol: str = "prediction",
    probabilityCol: str = "probability",
) -> SiloMetrics:
    """Return the scores of a model in each silo, in one pass.

    Parameters
    ----------
    predictions : pyspark.sql.DataFrame
        Output of a model's ``transform``, with labels and silos.
    siloCol : str, default="silo"
    labelCol : str, default="label"
    classes : sequence, optional
        The model's class list; None for a regression.
    predictionCol, probabilityCol : str
        The log loss is left out where there is no column of probabilities.

    Returns
    -------
    SiloMetrics

    Raises
    ------
    DataError
        ``column_not_found``, ``empty_data``.
    """
    from pyspark.sql import functions as F

    for name in (siloCol, labelCol, predictionCol):
        if name not in predictions.columns:
            raise DataError(
                "column_not_found",
                f"The predictions have no column {name!r}.{nearest(name, predictions.columns)}",
                f"Columns are: {', '.join(predictions.columns[:12])}.",
            )
    predicted = named_column(predictionCol).cast("double")
    if not classes:
        away = predicted - named_column(labelCol).cast("double")
        sums = {"rmse": F.avg(away * away), "mae": F.avg(F.abs(away))}
    else:
        known = F.array(*map(F.lit, class_values(classes)))
        code = F.array_position(known, label_column(labelCol, classes))
        own = predicted + 1 if by_position(classes) else F.array_position(known, predicted)
        right = F.when((code > 0) & (own == code), 1.0).otherwise(0.0)
        sums = {"accuracy": F.avg(right)}
        if probabilityCol in predictions.columns:
            probability = F.get(array_column(predictions, probabilityCol), code.cast("int") - 1)
            sums["log_loss"] = F.avg(-F.log(F.greatest(probability, F.lit(_LEAST))))
    silo = named_column(siloCol).cast("string").alias("silo")
    table: Any = (
        predictions.groupBy(silo)
        .agg(F.count(F.lit(1)).alias("rows"), *(s.alias(name) for name, s in sums.items()))
        .orderBy("silo")
        .toPandas()
    )
    if table.empty:
        raise DataError("empty_data", "There are no predictions to evaluate.")
    if "rmse" in sums:
        table["rmse"] = np.sqrt(table["rmse"])
    return SiloMetrics(table, "accuracy" if classes else "rmse")
