"""Fits calibrators out of core: executors add up histograms in one pass, the driver fits them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.dataset.labels import Label, class_column
from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.ensemble.calibration.calibrators import (
    Calibration,
    Isotonic,
    ScoreHistogram,
    Sigmoid,
    Temperature,
)
from sparkml_dist.errors import DataError, nearest
from sparkml_dist.metrics.auc import ProbabilityBins
from sparkml_dist.metrics.partial_sums import PartialSums
from sparkml_dist.models.scoring import Scorer, block_rows, check_feature_columns, loaded
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["fit_calibration"]

# What a row of partial sums is about.
_CLASS, _NOT_FINITE, _LOSS, _HISTOGRAM, _SCORE, _SLOPE = range(6)
_EPSILON = float(np.finfo(np.float64).eps)


def fit_calibration(
    df: DataFrame,
    scorer: Scorer,
    schema: FeatureSchema,
    label: Label,
    method: str,
    *,
    weight_col: str | None = None,
) -> tuple[Calibration, dict[str, Any]]:
    """Fit calibrators to what a model says of labelled rows that it was not fitted on.

    Scores are binned as narrowly as `ProbabilityBins` does, and each bin has its real mean.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        Rows whose label is null, or unknown to the model, are left out.
    scorer : Scorer
        Of the model.
    schema : FeatureSchema
    label : Label
    method : {"sigmoid", "isotonic", "temperature"}
    weight_col : str, optional
        Row weights.

    Returns
    -------
    calibration : Calibration
    summary : dict
        ``rows``, ``class_rows`` (in the order of the classes), ``log_loss`` before.

    Raises
    ------
    DataError
        ``column_not_found``, ``unknown_label`` or ``prediction_not_finite``.
    """
    from pyspark.sql import functions as F

    check_feature_columns(df, schema)
    for name in (label.column, *([weight_col] if weight_col else [])):
        if name not in df.columns:
            raise DataError(
                "column_not_found",
                f"The rows to calibrate on have no column {name!r}.{nearest(name, df.columns)}",
                f"Columns are: {', '.join(df.columns[:12])}.",
            )
    known = class_column(label.column, label.kind)
    weight = F.lit(1.0)
    if weight_col:
        weight = F.nanvl(named_column(weight_col).cast("double"), F.lit(0.0))
    cores = SessionInfo.of(df.sparkSession).task_cpus
    sums = (
        df.select(known.alias("_label"), weight.alias("_weight"), *schema.transport())
        .where(F.col("_label").isin(*label.classes) & (F.col("_weight") > 0))
        .mapInArrow(partial(_add_up, scorer, schema, label, method, cores), PartialSums.SCHEMA)
        .groupBy("kind", "key")
        .agg(F.sum("a").alias("a"), F.sum("b").alias("b"))
        .toArrow()
    )
    return _finish(sums, label, method)


def _judged(n_classes: int) -> list[int]:
    """Return the classes that have a histogram: one tells two classes."""
    return [1] if n_classes == 2 else list(range(n_classes))


def _add_up(
    scorer: Scorer,
    schema: FeatureSchema,
    label: Label,
    method: str,
    cores: int,
    batches: Iterator[pa.RecordBatch],
) -> Iterator[pa.RecordBatch]:
    judged = np.array(_judged(len(label.classes)))
    bins = ProbabilityBins(len(judged))
    offsets = np.arange(len(judged), dtype=np.int64) * bins.size
    sums = PartialSums()
    model = loaded(scorer.cache_key, scorer.load)
    with limit_threads(cores):
        structs = (batch.to_struct_array() for batch in batches if batch.num_rows)
        for rows in joined_batches(structs, block_rows(scorer, schema)):
            known, weights, *features = rows.flatten()
            codes = label.encode(known).astype(np.int64)
            weight = weights.to_numpy(zero_copy_only=False)
            proba = np.asarray(model(schema.encode(features)), dtype=np.float64)
            finite = np.isfinite(proba).all(axis=1)
            sums.add(_NOT_FINITE, 0, float(np.count_nonzero(~finite)))
            codes, weight, proba = codes[finite], weight[finite], proba[finite]
            sums.add(_CLASS, codes, weight, np.ones(len(codes)))
            given = np.clip(proba[np.arange(len(codes)), codes], _EPSILON, 1.0)
            sums.add(_LOSS, 0, float(np.sum(-np.log(given) * weight)), float(weight.sum()))
            if method == "temperature":
                first, second = Temperature.slopes(proba, codes, weight)
                sums.add(_SLOPE, np.arange(len(first)), first, second)
                continue
            scores = proba[:, judged]
            keys = bins.index(scores) + offsets
            all_rows = np.broadcast_to(weight[:, None], scores.shape)
            sums.add(_HISTOGRAM, keys, (codes[:, None] == judged) * weight[:, None], all_rows)
            sums.add(_SCORE, keys, scores * weight[:, None])
    yield from sums.batches()


def _finish(table: pa.Table, label: Label, method: str) -> tuple[Calibration, dict[str, Any]]:
    kind, key, a, b = (c.to_numpy() for c in table.columns)
    classes = len(label.classes)
    if bad := int(a[kind == _NOT_FINITE].sum()):
        raise DataError(
            "prediction_not_finite",
            f"The model gives {bad:,} of the rows to calibrate on no finite probabilities.",
            "Did the model diverge, or do the features hold infinities?",
        )
    of_class = kind == _CLASS
    rows = np.bincount(key[of_class], b[of_class], classes)
    if not rows.sum():
        raise DataError(
            "unknown_label",
            f"No row to calibrate on has a label in {label.column!r} that the model knows.",
            "Give more rows, or raise validationFraction.",
        )
    loss = kind == _LOSS
    summary = {
        "rows": int(rows.sum()),
        "class_rows": [int(n) for n in rows],
        "log_loss": float(a[loss].sum() / b[loss].sum()),
    }
    if method == "temperature":
        order = np.flatnonzero(kind == _SLOPE)[np.argsort(key[kind == _SLOPE])]
        return Calibration(method, (Temperature.fit(a[order], b[order]),)), summary
    fit: Any = Sigmoid.fit if method == "sigmoid" else Isotonic.fit
    curves = []
    size = ProbabilityBins(len(_judged(classes))).size
    for i in range(len(_judged(classes))):
        counted = _of(kind, key, _HISTOGRAM, i, size)
        scored = _of(kind, key, _SCORE, i, size)
        total = b[counted]
        found = ScoreHistogram(a[scored] / total, a[counted], total, float(rows.sum()))
        curves.append(fit(found))
    return Calibration(method, tuple(curves)), summary


def _of(kind: Any, key: Any, wanted: int, histogram: int, size: int) -> Any:
    """Return where the sums of a histogram stand in the table, in the order of its bins."""
    found = np.flatnonzero((kind == wanted) & (key // size == histogram))
    return found[np.argsort(key[found])]
