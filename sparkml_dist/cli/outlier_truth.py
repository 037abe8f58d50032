"""Compares outlier scores with a ground-truth column."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from sparkml_dist.cli.document import MetricsDocument
from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.errors import DataError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["add_agreement", "outlier_value"]

_SHOWN = 6


def outlier_value(df: DataFrame, label: str, outlier: str | None) -> Any:
    """Return the ground-truth value of outliers; None where there is only one value.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    label : str
        Column of the ground truth; null rows are ignored.
    outlier : str or None
        The value of outliers as given by the user, all others being inliers. None: the rarer of two
        values, or the higher if both are equally frequent.

    Raises
    ------
    DataError
        ``label_not_binary`` where `outlier` is None and there are more than two values;
        ``outlier_label`` where no row has that value.
    """
    known = df.where(named_column(label).isNotNull())
    values = known.groupBy(named_column(label)).count()
    if outlier is None:
        found = [(row[1], row[0]) for row in values.limit(3).collect()]
        if len(found) > 2:
            some = ", ".join(sorted(str(value) for _, value in found))
            raise DataError(
                "label_not_binary",
                f"The label {label!r} must have two values. Got {some} and more.",
                "Name the value of outliers with --outlier-label, or leave --label out.",
            )
        if len(found) < 2:
            return None
        (first, one), (second, other) = sorted(found)
        return max(one, other) if first == second else one
    shown: list[str] = []
    for row in values.limit(1000).collect():  # a row per distinct value
        shown.append(str(row[0]))
        if _same(row[0], outlier):
            return row[0]
    raise DataError(
        "outlier_label",
        f"No row has {outlier!r} in the label column {label!r}.",
        f"Its values are: {', '.join(sorted(shown)[:_SHOWN])}{', …' if len(shown) > _SHOWN else ''}"
        ".",
    )


def add_agreement(document: MetricsDocument, scored: DataFrame, label: str, outlier: Any) -> None:
    """Add ``metrics.roc_auc`` and the value of outliers to a metrics document.

    Parameters
    ----------
    document : MetricsDocument
    scored : pyspark.sql.DataFrame
        With ``outlierScore`` and the ground truth.
    label : str
        Column of the ground truth; null rows are ignored.
    outlier : object
        The result of `outlier_value`.
    """
    from pyspark.ml.evaluation import BinaryClassificationEvaluator
    from pyspark.sql import functions as F

    document.metrics["roc_auc"] = None
    document.more["outlier_label"] = outlier
    if outlier is None:
        return
    truth = named_column(label)
    labelled = scored.where(truth.isNotNull()).select(
        "outlierScore", (truth == F.lit(outlier)).cast("double").alias("truth")
    )
    counts = {r["truth"]: r["count"] for r in labelled.groupBy("truth").count().collect()}
    document.more["labelled_outliers"] = counts.get(1.0, 0)
    document.more["unlabelled_rows"] = (document.rows or 0) - sum(counts.values())
    if len(counts) == 2:
        evaluator = BinaryClassificationEvaluator(
            rawPredictionCol="outlierScore", labelCol="truth", numBins=0
        )
        document.metrics["roc_auc"] = float(evaluator.evaluate(labelled))


def _same(value: Any, text: str) -> bool:
    """Return whether a label equals the text that the user gave for it."""
    if str(value) == text or (isinstance(value, bool) and str(value).lower() == text.lower()):
        return True
    with contextlib.suppress(ValueError):
        return isinstance(value, int | float) and float(value) == float(text)
    return False
