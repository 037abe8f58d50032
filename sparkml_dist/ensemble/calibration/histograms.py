"""Fits calibrators out of core: executors add up histograms, the driver fits curves to them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.cluster.sums.over_rows import sum_over_partitions
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
from sparkml_dist.models.scoring import Scorer, block_rows, check_feature_columns, loaded

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["fit_calibration"]

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
    """Fit calibrators to a model's scores for labelled rows that it was not fitted on.

    Scores are binned as finely as in `ProbabilityBins`; each bin is represented by its mean score.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        Rows with a null label, or one that the model does not know, are ignored.
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
        ``rows``, ``class_rows`` (in the order of the classes), ``log_loss`` before calibration.

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
    rows = df.select(known.alias("_label"), weight.alias("_weight"), *schema.transport(df)).where(
        F.col("_label").isin(*label.classes) & (F.col("_weight") > 0)
    )
    work = partial(_add_up, scorer, schema, label, method)
    return _finish(sum_over_partitions(rows, work, description="calibrate"), label, method)


def _binned_classes(n_classes: int) -> list[int]:
    """Return the classes with a histogram; for two classes, the second one suffices."""
    return [1] if n_classes == 2 else list(range(n_classes))


def _add_up(
    scorer: Scorer,
    schema: FeatureSchema,
    label: Label,
    method: str,
    batches: Iterator[pa.RecordBatch],
) -> Summands:
    binned = np.array(_binned_classes(len(label.classes)))
    bins = ProbabilityBins(len(binned))
    offsets = np.arange(len(binned), dtype=np.int64) * bins.size
    model = loaded(scorer.cache_key, scorer.load)
    not_finite, loss = 0, 0.0
    rows, weights = np.zeros((2, len(label.classes)))
    slopes = np.zeros((2, len(Temperature.GRID)))
    of_class, total, scored = np.zeros(
        (3, 0 if method == "temperature" else len(binned) * bins.size)
    )
    structs = (batch.to_struct_array() for batch in batches if batch.num_rows)
    for struct in joined_batches(structs, block_rows(scorer, schema)):
        known, weight, *features = struct.flatten()
        codes = label.encode(known).astype(np.int64)
        weight = weight.to_numpy(zero_copy_only=False)
        proba = np.asarray(model(schema.encode(features)), dtype=np.float64)
        finite = np.isfinite(proba).all(axis=1)
        not_finite += int(np.count_nonzero(~finite))
        codes, weight, proba = codes[finite], weight[finite], proba[finite]
        rows += np.bincount(codes, minlength=len(rows))
        weights += np.bincount(codes, weight, len(rows))
        given = np.clip(proba[np.arange(len(codes)), codes], _EPSILON, 1.0)
        loss += float(np.sum(-np.log(given) * weight))
        if method == "temperature":
            slopes += Temperature.slopes(proba, codes, weight)
            continue
        scores = proba[:, binned]
        keys = bins.index(scores) + offsets
        np.add.at(of_class, keys, (codes[:, None] == binned) * weight[:, None])
        np.add.at(total, keys, np.broadcast_to(weight[:, None], keys.shape))
        np.add.at(scored, keys, scores * weight[:, None])
    return {
        "not_finite": not_finite,
        "rows": rows,
        "weights": weights,
        "loss": loss,
        "slopes": slopes,
        "of_class": of_class.reshape(len(binned), -1),
        "total": total.reshape(len(binned), -1),
        "scored": scored.reshape(len(binned), -1),
    }


def _finish(sums: Arrays, label: Label, method: str) -> tuple[Calibration, dict[str, Any]]:
    if bad := int(sums["not_finite"]):
        raise DataError(
            "prediction_not_finite",
            f"The model's probabilities are not finite for {bad:,} of the rows to calibrate on.",
            "Check whether the model diverged, or whether features are infinite.",
        )
    rows = sums["rows"]
    if not rows.sum():
        raise DataError(
            "unknown_label",
            f"No row to calibrate on has a label in {label.column!r} that the model knows.",
            "Pass more rows, or raise validationFraction.",
        )
    summary = {
        "rows": int(rows.sum()),
        "class_rows": [int(n) for n in rows],
        "log_loss": float(sums["loss"] / sums["weights"].sum()),
    }
    if method == "temperature":
        return Calibration(method, (Temperature.fit(*sums["slopes"]),)), summary
    fit: Any = Sigmoid.fit if method == "sigmoid" else Isotonic.fit
    curves = []
    for of_class, total, scored in zip(
        sums["of_class"], sums["total"], sums["scored"], strict=True
    ):
        there = np.flatnonzero(total)
        score = scored[there] / total[there]
        histogram = ScoreHistogram(score, of_class[there], total[there], float(rows.sum()))
        curves.append(fit(histogram))
    return Calibration(method, tuple(curves)), summary
