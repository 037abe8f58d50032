"""Evaluates predictions in one pass over the DataFrame: workers add up, the driver divides."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.dataset.labels import by_position
from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.errors import DataError, nearest
from sparkml_dist.metrics.auc import ProbabilityBins, area_under_roc
from sparkml_dist.metrics.metrics import ClassificationMetrics, f1_macro
from sparkml_dist.metrics.partial_sums import PartialSums

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["array_column", "class_values", "evaluate_classification", "label_column"]

# What a row of partial sums is about.
_ROWS, _UNKNOWN, _NULL, _NOT_FINITE, _STRANGE, _LOSS, _CONFUSION, _HISTOGRAM = range(8)
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
        What a model's ``transform`` returned, labels still in it. Classic or Connect.
    label_col : str
        True labels: numbers, strings or booleans.
    classes : sequence
        The model's class list, in the order of the probabilities.
    prediction_col : str, default="prediction"
        Predicted class as ``transform`` gives it: its value where a double holds that, or its
        position.
    probability_col : str, default="probability"
        ML vector or array with a probability for each class.
    weight_col : str, optional
        Row weights.

    Returns
    -------
    ClassificationMetrics

    Raises
    ------
    DataError
        ``column_not_found``, ``empty_data``, ``label_null``, ``unknown_label`` when no label at
        all is among the classes, ``invalid_prediction``, ``prediction_not_finite``.

    Notes
    -----
    Accuracy, log loss, F1 and the confusion matrix are exact. The area under the ROC curve comes
    from histograms (see `ProbabilityBins`) and is exact up to pairs of rows whose probabilities
    differ by less than a two-thousandth of their distance to 0 or 1.
    """
    from pyspark.sql import functions as F

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
    sums = (
        predictions.select(*columns)
        .mapInArrow(partial(_add_up, _Classes(tuple(classes))), PartialSums.SCHEMA)
        .groupBy("kind", "key")
        .agg(F.sum("a").alias("a"), F.sum("b").alias("b"))
        .toArrow()
    )
    return _finish(sums, tuple(classes), label_col)


@dataclass(frozen=True)
class _Classes:
    """The class list, able to turn labels and predictions into codes."""

    classes: tuple[Any, ...]

    @property
    def kind(self) -> str:
        """Spark's type in which labels are compared with the classes."""
        if isinstance(self.classes[0], str | bool):
            return "string"
        return "bigint" if by_position(self.classes) else "double"

    def values(self) -> list[Any]:
        """Return the classes as `label_column` has them."""
        if self.kind == "double":
            return [float(c) for c in self.classes]
        return [str(c).lower() if isinstance(c, bool) else c for c in self.classes]

    def codes(self, labels: pa.Array) -> npt.NDArray[np.int64]:
        """Return positions in the class list; -1 for labels that are not in it."""
        found = pc.index_in(labels, value_set=pa.array(self.values()))
        return pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)

    def predicted(self, predictions: pa.Array) -> npt.NDArray[np.int64]:
        """Return positions in the class list; -1 for predictions that name no class."""
        if not by_position(self.classes):
            return self.codes(predictions)
        values = pc.fill_null(predictions, -1.0).to_numpy(zero_copy_only=False)
        good = (values >= 0) & (values < len(self.classes)) & (values == np.floor(values))
        return np.where(good, values, -1).astype(np.int64)


def class_values(classes: Sequence[Any]) -> list[Any]:
    """Return a class list in the type in which `label_column` has labels."""
    return _Classes(tuple(classes)).values()


def label_column(name: str, classes: Sequence[Any]) -> Column:
    """Return a label column in a type in which it can be compared with the classes."""
    from pyspark.sql import functions as F

    column, kind = named_column(name), _Classes(tuple(classes)).kind
    if kind == "string":
        text = column.cast("string")
        return F.lower(text) if isinstance(classes[0], bool) else text
    # A file of other rows may hold a word among numbers: an unknown label, not a null one.
    stranger = F.lit(math.inf if kind == "double" else next(i for i in count() if i not in classes))
    number = column.try_cast(kind)
    number = F.when(column.isNotNull() & number.isNull(), stranger).otherwise(number)
    return number + F.lit(0.0) if kind == "double" else number  # -0.0 is 0.0


def array_column(df: DataFrame, name: str) -> Column:
    """Return a column of ML vectors or arrays as arrays of doubles."""
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql.types import ArrayType

    column = named_column(name)
    if isinstance(df.schema[name].dataType, ArrayType):
        return column.cast("array<double>")
    return vector_to_array(column)


def _add_up(classes: _Classes, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    k = len(classes.classes)
    judged = [1] if k == 2 else list(range(k))
    bins = ProbabilityBins(len(judged))
    offsets = np.arange(len(judged), dtype=np.int64) * bins.size
    sums = PartialSums()
    for batch in batches:
        label, prediction, probability = batch.column(0), batch.column(1), batch.column(2)
        n = batch.num_rows
        weight = batch.column(3).to_numpy(zero_copy_only=False) if batch.num_columns > 3 else None
        w = np.ones(n) if weight is None else np.nan_to_num(weight)
        sums.add(_ROWS, 0, float(n), float(w.sum()))
        missing = pc.is_null(label, nan_is_null=True)
        sums.add(_NULL, 0, float(missing.true_count))
        if not n or missing.true_count:
            continue
        true, guess = classes.codes(label), classes.predicted(prediction)
        known = true >= 0
        sums.add(_UNKNOWN, 0, float(np.count_nonzero(~known)), float(w[~known].sum()))
        sums.add(_STRANGE, 0, float(np.count_nonzero(guess < 0)))
        flat = probability.flatten().to_numpy(zero_copy_only=False)
        proba = flat.reshape(n, k) if len(flat) == n * k else np.full((n, k), np.nan)
        sums.add(_NOT_FINITE, 0, float(np.count_nonzero(~np.isfinite(proba).all(axis=1))))
        true, guess, proba, w = true[known], guess[known], proba[known], w[known]
        given = np.clip(proba[np.arange(len(true)), true], _EPSILON, 1 - _EPSILON)
        sums.add(_LOSS, 0, float(np.sum(-np.log(given) * w)), float(w.sum()))
        sums.add(_CONFUSION, true * k + guess, w)
        keys = bins.index(proba[:, judged]) + offsets
        positive = (true[:, None] == np.array(judged)) * w[:, None]
        sums.add(_HISTOGRAM, keys, positive, w[:, None] - positive)
    yield from sums.batches()


def _finish(table: pa.Table, classes: tuple[Any, ...], label_col: str) -> ClassificationMetrics:
    k = len(classes)
    kind, key, a, b = (c.to_numpy() for c in table.columns)

    def total(which: int) -> tuple[float, float]:
        chosen = kind == which
        return float(a[chosen].sum()), float(b[chosen].sum())

    rows, weight = total(_ROWS)
    if not rows:
        raise DataError("empty_data", "There are no rows to evaluate.", "Check the test data.")
    if nulls := int(total(_NULL)[0]):
        raise DataError(
            "label_null",
            f"The label column {label_col!r} is null or NaN in {nulls:,} of {int(rows):,} rows.",
            "Drop those rows or fill them in.",
        )
    unknown, _ = total(_UNKNOWN)
    if unknown == rows:
        raise DataError(
            "unknown_label",
            f"None of the labels in {label_col!r} is among the model's {k} classes "
            f"({', '.join(repr(c) for c in classes[:8])}{', …' if k > 8 else ''}).",
            "Is it the right column, in the way the training data has it?",
        )
    if strange := int(total(_STRANGE)[0]):
        raise DataError("invalid_prediction", f"{strange:,} predictions name none of the classes.")
    if bad := int(total(_NOT_FINITE)[0]):
        raise DataError(
            "prediction_not_finite",
            f"{bad:,} rows do not have {k} finite probabilities.",
            "Did the model diverge, or do the features hold infinities?",
        )
    confusion = np.zeros((k, k))
    cells = kind == _CONFUSION
    confusion.ravel()[key[cells]] = a[cells]
    loss, known_weight = total(_LOSS)
    return ClassificationMetrics(
        accuracy=float(np.trace(confusion)) / weight if weight else 0.0,
        log_loss=loss / known_weight if known_weight else None,
        roc_auc=_mean_area(kind == _HISTOGRAM, key, a, b, 1 if k == 2 else k),
        f1_macro=f1_macro(confusion),
        rows=int(rows),
        unknown_label_rows=int(unknown),
        classes=classes,
        confusion=confusion,
    )


def _mean_area(
    chosen: npt.NDArray[np.bool_],
    key: npt.NDArray[np.int64],
    a: npt.NDArray[np.float64],
    b: npt.NDArray[np.float64],
    n_histograms: int,
) -> float | None:
    order = np.argsort(key[chosen])
    key, a, b = key[chosen][order], a[chosen][order], b[chosen][order]
    ends = np.searchsorted(
        key, np.arange(n_histograms + 1, dtype=np.int64) * ProbabilityBins(n_histograms).size
    )
    areas = [area_under_roc(a[start:end], b[start:end]) for start, end in pairwise(ends)]
    defined = [area for area in areas if area is not None]
    return float(np.mean(defined)) if defined else None
