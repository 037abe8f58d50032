"""ROC and precision-recall curves, and tables of thresholds, in one distributed pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.cluster.sums.layout import Summands
from sparkml_dist.cluster.sums.over_rows import sum_over_partitions
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.metrics.auc import ProbabilityBins
from sparkml_dist.metrics.evaluation import array_column, class_values, label_column
from sparkml_dist.metrics.score_curve import ScoreCurve, ScoreCurves

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["ClassScoringModel", "HasScoreCurves", "score_curves"]

_PROBABILITY = "_sparkml_dist_probability"
_PREDICTION = "_sparkml_dist_prediction"


class ClassScoringModel(Protocol):
    """A fitted classifier whose `transform` adds probabilities."""

    label: Label

    def copy(self, extra: Any = None) -> Any:
        """Return a copy, as Spark's models do."""
        ...


class HasScoreCurves:
    """Mixin of the models with ROC and precision-recall curves."""

    def scoreCurves(
        self: ClassScoringModel,
        df: DataFrame,
        *,
        of: Sequence[Any] | None = None,
        weightCol: str | None = None,
    ) -> ScoreCurves:
        """Return the ROC curve, the precision-recall curve and the thresholds of classes.

        Computed on executors in one pass; see `score_curves`.

        Parameters
        ----------
        df : pyspark.sql.DataFrame
            Rows that the model was not fitted on, with the label.
        of : sequence, optional
            Classes, each against all others. By default the second class of two, and all classes
            if there are more.
        weightCol : str, optional
            Row weights.

        Raises
        ------
        ConfigurationError
            ``not_a_classifier`` for a model of numbers, or those of `score_curves`.
        """
        if self.label.is_regression:
            raise ConfigurationError(
                "not_a_classifier",
                f"{type(self).__name__} predicts numbers, which have no ROC curve.",
                "Compare predictions and targets with a regression's metrics.",
            )
        names = {
            "probabilityCol": _PROBABILITY,
            "predictionCol": _PREDICTION,
            "rawPredictionCol": "",
            "predictedLabelCol": "",
        }
        scored = self.copy()
        scored.setParams(**{n: v for n, v in names.items() if scored.hasParam(n)})
        return score_curves(
            scored.transform(df),
            label_col=self.label.column,
            classes=self.label.classes,
            of=of,
            probability_col=_PROBABILITY,
            weight_col=weightCol,
        )


def score_curves(
    predictions: DataFrame,
    *,
    label_col: str,
    classes: Sequence[Any],
    of: Sequence[Any] | None = None,
    probability_col: str = "probability",
    weight_col: str | None = None,
) -> ScoreCurves:
    """Count, for every threshold of a probability, the rows of a class that reach it.

    Workers form histograms of the probabilities of each class's rows and of all others, which are
    added up; the driver gets the non-empty bins. Each point of a curve is that of the whole data,
    exactly: a bin holds whole ties. What is lost are points between probabilities of one bin,
    which differ by less than a two-thousandth of their distance to 0 or 1 (of up to 11 classes;
    see `ProbabilityBins` for more). Probabilities that differ by more, such as votes of up to
    1,000 trees, give all points.

    Parameters
    ----------
    predictions : pyspark.sql.DataFrame
        Output of a model's ``transform``, including the labels; classic Spark or Connect.
    label_col : str
        True labels. Rows whose label is not among the classes are negative rows of every class.
    classes : sequence
        The model's class list, in the order of the probabilities.
    of : sequence, optional
        Classes, each against all others. By default the second class of two, and all classes if
        there are more.
    probability_col : str, default="probability"
        ML vector or array with one probability per class.
    weight_col : str, optional
        Row weights.

    Returns
    -------
    ScoreCurves

    Raises
    ------
    ConfigurationError
        ``unknown_class``, or ``invalid_param`` for no classes.
    DataError
        ``column_not_found``, ``empty_data``, ``label_null`` or ``prediction_not_finite``.

    References
    ----------
    Fawcett (2006), "An introduction to ROC analysis". Davis, Goadrich (2006), "The relationship
    between precision-recall and ROC curves".
    """
    for name in (label_col, probability_col, *([weight_col] if weight_col else [])):
        if name not in predictions.columns:
            raise DataError(
                "column_not_found",
                f"The predictions have no column {name!r}.{nearest(name, predictions.columns)}",
                f"Columns are: {', '.join(predictions.columns[:12])}.",
            )
    places = _places(classes, of)
    columns = [
        label_column(label_col, classes).alias("label"),
        array_column(predictions, probability_col).alias("probability"),
    ]
    if weight_col:
        columns.append(named_column(weight_col).cast("double").alias("weight"))
    values = tuple(class_values(classes))
    sums = sum_over_partitions(
        predictions.select(*columns),
        partial(_add_up, values, places),
        description="curves of scores",
    )
    rows = int(sums["rows"])
    if not rows:
        raise DataError("empty_data", "There are no rows to evaluate.", "Check the test data.")
    if nulls := int(sums["null"]):
        raise DataError(
            "label_null",
            f"The label column {label_col!r} is null or NaN in {nulls:,} of {rows:,} rows.",
            "Drop those rows or fill them in.",
        )
    if bad := int(sums["not_finite"]):
        raise DataError(
            "prediction_not_finite",
            f"{bad:,} rows do not have {len(classes)} finite probabilities.",
            "Check whether the model diverged, or whether features are infinite.",
        )
    bins = ProbabilityBins(len(places))
    return ScoreCurves(
        tuple(
            ScoreCurve.of_histograms(classes[place], bins, positive, negative)
            for place, positive, negative in zip(
                places, sums["positive"], sums["negative"], strict=True
            )
        ),
        rows,
    )


def _places(classes: Sequence[Any], of: Sequence[Any] | None) -> tuple[int, ...]:
    """Return the positions of the classes that get a curve."""
    known = list(classes)
    if of is None:
        return (1,) if len(known) == 2 else tuple(range(len(known)))
    if isinstance(of, str) or not len(of):
        raise ConfigurationError(
            "invalid_param",
            f"of must be a list of one class or more. Got {of!r}.",
            f"Classes are: {', '.join(map(repr, known[:12]))}.",
        )
    for value in of:
        if value not in known:
            raise ConfigurationError(
                "unknown_class",
                f"of must name classes of the model. Got {value!r}.",
                f"Classes are: {', '.join(map(repr, known[:12]))}.",
            )
    return tuple(dict.fromkeys(known.index(value) for value in of))


def _add_up(
    values: tuple[Any, ...], places: tuple[int, ...], batches: Iterator[pa.RecordBatch]
) -> Summands:
    """Return the histograms of a partition's rows."""
    k, at = len(values), np.array(places)
    bins = ProbabilityBins(len(places))
    offsets = np.arange(len(places), dtype=np.int64) * bins.size
    sums = dict.fromkeys(("rows", "null", "not_finite"), 0)
    positive, negative = np.zeros((2, len(places) * bins.size))
    for batch in batches:
        n = batch.num_rows
        sums["rows"] += n
        label, probability = batch.column(0), batch.column(1)
        missing = pc.is_null(label, nan_is_null=True).true_count
        sums["null"] += missing
        if not n or missing:
            continue
        weight = np.ones(n)
        if batch.num_columns > 2:
            weight = np.nan_to_num(batch.column(2).to_numpy(zero_copy_only=False))
        codes = pc.fill_null(pc.index_in(label, value_set=pa.array(values)), -1)
        true = codes.to_numpy(zero_copy_only=False)
        flat = probability.flatten().to_numpy(zero_copy_only=False)
        if len(flat) != n * k or not np.isfinite(flat).all():
            whole = len(flat) == n * k
            finite = np.isfinite(flat.reshape(n, k)).all(axis=1) if whole else np.zeros(n, bool)
            sums["not_finite"] += int(np.count_nonzero(~finite))
            continue
        keys = bins.index(flat.reshape(n, k)[:, at]) + offsets
        of_class = (true[:, None] == at) * weight[:, None]
        size = len(positive)
        positive += np.bincount(keys.ravel(), of_class.ravel(), size)
        negative += np.bincount(keys.ravel(), (weight[:, None] - of_class).ravel(), size)
    shape = (len(places), bins.size)
    return sums | {"positive": positive.reshape(shape), "negative": negative.reshape(shape)}
