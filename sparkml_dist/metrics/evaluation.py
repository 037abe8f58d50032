"""Evaluates predictions in one pass over the DataFrame: workers compute sums, the driver ratios."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.cluster.sums.over_rows import sum_over_partitions
from sparkml_dist.dataset.labels import by_position
from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.errors import DataError, nearest
from sparkml_dist.metrics.auc import ProbabilityBins, area_under_roc
from sparkml_dist.metrics.intervals import auc_interval, mean_interval, share_interval
from sparkml_dist.metrics.metrics import ClassificationMetrics, f1_macro

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["array_column", "class_values", "evaluate_classification", "label_column"]

_EPSILON = float(np.finfo(np.float64).eps)


def evaluate_classification(
    predictions: DataFrame,
    *,
    label_col: str,
    classes: Sequence[Any],
    prediction_col: str = "prediction",
    probability_col: str = "probability",
    weight_col: str | None = None,
) -> ClassificationMetrics:
    """Compare predictions with labels.

    Parameters
    ----------
    predictions : pyspark.sql.DataFrame
        Output of a model's ``transform``, including the labels; classic Spark or Connect.
    label_col : str
        True labels: numbers, strings or booleans.
    classes : sequence
        The model's class list, in the order of the probabilities.
    prediction_col : str, default="prediction"
        Predicted class as in ``transform``: the class itself if a double can hold it, otherwise its
        position in `classes`.
    probability_col : str, default="probability"
        ML vector or array with one probability per class.
    weight_col : str, optional
        Row weights.

    Returns
    -------
    ClassificationMetrics

    Raises
    ------
    DataError
        ``column_not_found``, ``empty_data``, ``label_null``, ``unknown_label`` if none of the
        labels is among the classes, ``invalid_prediction``, ``prediction_not_finite``.

    Notes
    -----
    Accuracy, log loss, F1 and the confusion matrix are exact. The area under the ROC curve comes
    from histograms (see `ProbabilityBins`) and is exact up to pairs of rows whose probabilities
    differ by less than a two-thousandth of their distance to 0 or 1.
    """
    names = [label_col, prediction_col, probability_col, *([weight_col] if weight_col else [])]
    for name in names:
        if name not in predictions.columns:
            raise DataError(
                "column_not_found",
                f"The predictions have no column {name!r}.{nearest(name, predictions.columns)}",
                f"Columns are: {', '.join(predictions.columns[:12])}.",
            )
    columns = [
        label_column(label_col, classes).alias("label"),
        named_column(prediction_col).cast("double").alias("prediction"),
        array_column(predictions, probability_col).alias("probability"),
    ]
    if weight_col:
        columns.append(named_column(weight_col).cast("double").alias("weight"))
    sums = sum_over_partitions(
        predictions.select(*columns),
        partial(_add_up, _Classes(tuple(classes))),
        description="evaluate predictions",
    )
    return _finish(sums, tuple(classes), label_col)


@dataclass(frozen=True)
class _Classes:
    """The class list, which converts labels and predictions to codes."""

    classes: tuple[Any, ...]

    @property
    def kind(self) -> str:
        """Spark type for comparing labels with the classes."""
        if isinstance(self.classes[0], str | bool):
            return "string"
        return "bigint" if by_position(self.classes) else "double"

    def values(self) -> list[Any]:
        """Return the classes in the type of `label_column`."""
        if self.kind == "double":
            return [float(c) for c in self.classes]
        return [str(c).lower() if isinstance(c, bool) else c for c in self.classes]

    def codes(self, labels: pa.Array) -> npt.NDArray[np.int64]:
        """Return positions in the class list; -1 for labels that are not in it."""
        found = pc.index_in(labels, value_set=pa.array(self.values()))
        return pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)

    def predicted(self, predictions: pa.Array) -> npt.NDArray[np.int64]:
        """Return positions in the class list; -1 for predictions that are not a class."""
        if not by_position(self.classes):
            return self.codes(predictions)
        values = pc.fill_null(predictions, -1.0).to_numpy(zero_copy_only=False)
        good = (values >= 0) & (values < len(self.classes)) & (values == np.floor(values))
        return np.where(good, values, -1).astype(np.int64)


def class_values(classes: Sequence[Any]) -> list[Any]:
    """Return a class list in the type of `label_column`."""
    return _Classes(tuple(classes)).values()


def label_column(name: str, classes: Sequence[Any]) -> Column:
    """Return a label column in a type that can be compared with the classes."""
    from pyspark.sql import functions as F

    column, kind = named_column(name), _Classes(tuple(classes)).kind
    if kind == "string":
        text = column.cast("string")
        return F.lower(text) if isinstance(classes[0], bool) else text
    # Other data may contain a word among numbers: that is an unknown label, not a null one.
    unlisted = F.lit(math.inf if kind == "double" else next(i for i in count() if i not in classes))
    number = column.try_cast(kind)
    number = F.when(column.isNotNull() & number.isNull(), unlisted).otherwise(number)
    return number + F.lit(0.0) if kind == "double" else number  # -0.0 is 0.0


def array_column(df: DataFrame, name: str) -> Column:
    """Return a column of ML vectors or arrays as arrays of doubles."""
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql.types import ArrayType

    column = named_column(name)
    if isinstance(df.schema[name].dataType, ArrayType):
        return column.cast("array<double>")
    return vector_to_array(column)


def _add_up(classes: _Classes, batches: Iterator[pa.RecordBatch]) -> Summands:
    k = len(classes.classes)
    binned = np.array([1] if k == 2 else range(k))
    bins = ProbabilityBins(len(binned))
    offsets = np.arange(len(binned), dtype=np.int64) * bins.size
    sums = dict.fromkeys(("rows", "null", "unknown", "invalid", "not_finite"), 0)
    weight = known_weight = loss = weight_squares = loss_squares = 0.0
    confusion, positive, negative = np.zeros((k, k)), *np.zeros((2, len(binned) * bins.size))
    for batch in batches:
        label, prediction, probability = batch.column(0), batch.column(1), batch.column(2)
        n = batch.num_rows
        w = batch.column(3).to_numpy(zero_copy_only=False) if batch.num_columns > 3 else np.ones(n)
        w = np.nan_to_num(w)
        sums["rows"] += n
        weight += float(w.sum())
        weight_squares += float(w @ w)
        missing = pc.is_null(label, nan_is_null=True).true_count
        sums["null"] += missing
        if not n or missing:
            continue
        true, guess = classes.codes(label), classes.predicted(prediction)
        known = true >= 0
        sums["unknown"] += int(np.count_nonzero(~known))
        sums["invalid"] += int(np.count_nonzero(guess < 0))
        flat = probability.flatten().to_numpy(zero_copy_only=False)
        proba = flat.reshape(n, k) if len(flat) == n * k else np.full((n, k), np.nan)
        sums["not_finite"] += int(np.count_nonzero(~np.isfinite(proba).all(axis=1)))
        if sums["invalid"] or sums["not_finite"]:
            continue
        true, guess, proba, w = true[known], guess[known], proba[known], w[known]
        given = np.clip(proba[np.arange(len(true)), true], _EPSILON, 1 - _EPSILON)
        losses = -np.log(given)
        loss += float(np.sum(losses * w))
        loss_squares += float(np.sum(losses**2 * w))
        known_weight += float(w.sum())
        np.add.at(confusion, (true, guess), w)
        keys = bins.index(proba[:, binned]) + offsets
        of_class = (true[:, None] == binned) * w[:, None]
        np.add.at(positive, keys, of_class)
        np.add.at(negative, keys, w[:, None] - of_class)
    return sums | {
        "weight": weight,
        "known_weight": known_weight,
        "loss": loss,
        "weight_squares": weight_squares,
        "loss_squares": loss_squares,
        "confusion": confusion,
        "positive": positive.reshape(len(binned), bins.size),
        "negative": negative.reshape(len(binned), bins.size),
    }


def _finish(sums: Arrays, classes: tuple[Any, ...], label_col: str) -> ClassificationMetrics:
    k, rows = len(classes), int(sums["rows"])
    if not rows:
        raise DataError("empty_data", "There are no rows to evaluate.", "Check the test data.")
    if nulls := int(sums["null"]):
        raise DataError(
            "label_null",
            f"The label column {label_col!r} is null or NaN in {nulls:,} of {rows:,} rows.",
            "Drop those rows or fill them in.",
        )
    if sums["unknown"] == rows:
        raise DataError(
            "unknown_label",
            f"None of the labels in {label_col!r} is among the model's {k} classes "
            f"({', '.join(repr(c) for c in classes[:8])}{', …' if k > 8 else ''}).",
            "Check that the column is right, and that labels are written as in the training data.",
        )
    if invalid := int(sums["invalid"]):
        raise DataError("invalid_prediction", f"{invalid:,} predictions are not a class.")
    if bad := int(sums["not_finite"]):
        raise DataError(
            "prediction_not_finite",
            f"{bad:,} rows do not have {k} finite probabilities.",
            "Check whether the model diverged, or whether features are infinite.",
        )
    confusion, weight, known_weight = (
        sums[name] for name in ("confusion", "weight", "known_weight")
    )
    areas = map(area_under_roc, sums["positive"], sums["negative"])
    defined = [area for area in areas if area is not None]
    return ClassificationMetrics(
        accuracy=float(np.trace(confusion) / weight) if weight else 0.0,
        log_loss=float(sums["loss"] / known_weight) if known_weight else None,
        roc_auc=float(np.mean(defined)) if defined else None,
        f1_macro=f1_macro(confusion),
        rows=rows,
        unknown_label_rows=int(sums["unknown"]),
        classes=classes,
        confusion=confusion,
        intervals=_intervals(sums, defined),
    )


def _intervals(sums: Arrays, areas: list[float]) -> dict[str, tuple[float, float]]:
    """Return the intervals of the scores that sums over rows determine."""
    found: dict[str, tuple[float, float]] = {}
    confusion, weight, known = sums["confusion"], float(sums["weight"]), float(sums["known_weight"])
    if not weight or not known:
        return found
    rows = weight**2 / float(sums["weight_squares"])
    found["accuracy"] = share_interval(min(1.0, float(np.trace(confusion) / weight)), rows)
    mean = float(sums["loss"]) / known
    found["log_loss"] = mean_interval(mean, float(sums["loss_squares"]) / known, rows)
    if len(confusion) == 2 and areas:
        negative, positive = (float(n) * rows / weight for n in confusion.sum(axis=1))
        if negative >= 1 and positive >= 1:
            found["roc_auc"] = auc_interval(areas[0], positive, negative)
    return found
