"""Partial dependence: the mean prediction of a model for each value of a feature."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.cluster.progress import job_description
from sparkml_dist.cluster.sums.layout import Summands
from sparkml_dist.cluster.sums.over_rows import sum_over_partitions
from sparkml_dist.cluster.task_errors import errors_of_tasks
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.dataset.hashing import spark_uniform
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureSchema, Matrix
from sparkml_dist.dataset.splits import row_key
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.metrics.dependence_grid import column_values, grid_of, with_values
from sparkml_dist.metrics.feature_dependence import FeatureDependence, PartialDependence
from sparkml_dist.metrics.permutation import ScoredModel
from sparkml_dist.models.scoring import Predict, Scorer, check_feature_columns, loaded
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["HasPartialDependence", "partial_dependence"]

#: Rows that are predicted at once, and the bytes of their features at most.
_BLOCK_ROWS = 5_000
_BLOCK_BYTES = 64 << 20


class HasPartialDependence:
    """Mixin of the models with partial dependence."""

    def partialDependence(
        self: ScoredModel,
        df: DataFrame,
        features: Sequence[str],
        *,
        gridSize: int = 20,
        maxRows: int = 5_000,
        seed: int = 0,
    ) -> PartialDependence:
        """Return the mean prediction for each value of some features.

        Computed on executors; see `partial_dependence`.

        Parameters
        ----------
        df : pyspark.sql.DataFrame
            Rows with the features; the label is not needed.
        features : sequence of str
            Names of features, numeric or categorical.
        gridSize : int, default=20
            Most values of a feature.
        maxRows : int, default=5000
            Rows to average over, scored once for every value.
        seed : int, default=0
            Seed of the sample of rows.
        """
        return partial_dependence(
            df,
            self._task_scorer(),
            self.schema,
            self.label,
            features=features,
            grid_size=gridSize,
            max_rows=maxRows,
            seed=seed,
        )


@dataclass(frozen=True)
class _Plan:
    """What tasks need: the model, the features' positions and the values of each."""

    scorer: Scorer
    schema: FeatureSchema
    chosen: tuple[int, ...]
    grids: tuple[tuple[float, ...], ...]
    outputs: int
    task_cpus: int


def partial_dependence(
    df: DataFrame,
    scorer: Scorer,
    schema: FeatureSchema,
    label: Label,
    *,
    features: Sequence[str],
    grid_size: int = 20,
    max_rows: int = 5_000,
    seed: int = 0,
) -> PartialDependence:
    """Average a model's predictions over a sample of rows, with one feature set to each value.

    The rows of the sample are chosen by their keys and kept on executors. Tasks return sums of
    predictions for each value; the driver gets as many numbers as there are values times classes.
    Where features depend on each other, rows that never occur take part in the average.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        Classic Spark or Connect.
    scorer, schema, label
        Of the model.
    features : sequence of str
        Names of features.
    grid_size : int, default=20
        Most values of a feature: its distinct values, or this many evenly spaced ones between the
        5% and 95% quantiles of the sample, or the most frequent categories.
    max_rows : int, default=5000
        About how many rows to average over.
    seed : int, default=0

    Returns
    -------
    PartialDependence

    Raises
    ------
    ConfigurationError
        ``invalid_param`` or ``unknown_feature``.
    DataError
        ``empty_data``, or those of scoring.

    References
    ----------
    Friedman (2001), "Greedy function approximation: a gradient boosting machine", section 8.2.
    """
    chosen = _chosen(schema, features)
    for name, value, least in (("gridSize", grid_size, 2), ("maxRows", max_rows, 1)):
        if value < least:
            raise ConfigurationError("invalid_param", f"{name} must be >= {least}. Got {value}.")
    check_feature_columns(df, schema)
    spark = df.sparkSession
    with job_description(spark, "sparkml_dist: partial dependence"), errors_of_tasks():
        sample = _sample(df, schema, max_rows, seed).persist()
        try:
            found = _grids(sample, schema, chosen, grid_size)
            plan = _Plan(
                scorer,
                schema,
                chosen,
                tuple(tuple(grid["values"]) for grid in found),
                len(label.classes) or 1,
                SessionInfo.of(spark).task_cpus,
            )
            sums = sum_over_partitions(
                sample, partial(_add_up, plan), description="partial dependence"
            )
        finally:
            sample.unpersist()
    averages = sums["sums"] / sums["rows"]
    ends = np.cumsum([len(grid) for grid in plan.grids])
    parts = np.split(averages, ends[:-1])
    return PartialDependence(
        tuple(
            FeatureDependence(
                schema.feature_names[feature],
                _shown(schema, feature, grid),
                part[:, 0] if label.is_regression else part,
                tuple(one["deciles"]),
            )
            for feature, grid, part, one in zip(chosen, plan.grids, parts, found, strict=True)
        ),
        tuple(label.classes),
        label.column,
        int(sums["rows"]),
    )


def _chosen(schema: FeatureSchema, features: Sequence[str]) -> tuple[int, ...]:
    if isinstance(features, str) or not len(features):
        raise ConfigurationError(
            "invalid_param", f"features must be a list of one name or more. Got {features!r}."
        )
    names = schema.feature_names
    for name in features:
        if name not in names:
            raise ConfigurationError(
                "unknown_feature",
                f"The model has no feature {name!r}.{nearest(name, names)}",
                f"Features are: {', '.join(names[:12])}.",
            )
    return tuple(names.index(name) for name in dict.fromkeys(features))


def _sample(df: DataFrame, schema: FeatureSchema, max_rows: int, seed: int) -> DataFrame:
    """Return the features of a sample, in the form of `FeatureSchema.transport`."""
    from pyspark.sql import functions as F

    rows = df.count()
    if not rows:
        raise DataError("empty_data", "There are no rows to average over.", "Check the data.")
    key = row_key(df, list(dict.fromkeys(c.name for c in schema.columns))).alias("_key")
    keyed = df.select(key, *schema.transport())
    if rows > max_rows:
        drawn = spark_uniform(F.col("_key"), seed, "partial-dependence")
        keyed = keyed.where(drawn < max_rows / rows)
    return keyed.drop("_key")


def _grids(
    sample: DataFrame, schema: FeatureSchema, chosen: tuple[int, ...], size: int
) -> list[dict[str, list[float]]]:
    """Return the grid of each feature; one task looks at the sample's values of all of them."""
    categorical = set(schema.categorical_features)

    def values(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            if batch.num_rows:
                X = schema.encode(batch.columns)
                lists = np.stack([column_values(X, f) for f in chosen], axis=1)
                yield pa.RecordBatch.from_pydict({"values": pa.array(list(lists))})

    def grids(table: pa.Table) -> pa.Table:
        flat = pa.concat_arrays([c.flatten() for c in table.column("values").chunks])
        matrix = flat.to_numpy(zero_copy_only=False).reshape(-1, len(chosen))
        found = [
            grid_of(matrix[:, i], feature in categorical, size, 0.05)
            for i, feature in enumerate(chosen)
        ]
        return pa.table({"grids": [json.dumps(found)]})

    narrow = sample.mapInArrow(values, "values array<float>")
    rows = narrow.groupBy().applyInArrow(grids, "grids string").collect()
    if not rows:
        raise DataError(
            "empty_data",
            "The sample has no rows to average over.",
            "Raise maxRows.",
        )
    found: list[dict[str, list[float]]] = json.loads(rows[0]["grids"])
    return found


def _add_up(plan: _Plan, batches: Iterator[pa.RecordBatch]) -> Summands:
    """Return the sums of a partition's predictions, for every value of every feature."""
    sums = np.zeros((sum(map(len, plan.grids)), plan.outputs))
    rows = 0
    model: Predict | None = None
    at_once = int(np.clip(_BLOCK_BYTES // (4 * plan.schema.n_features), 100, _BLOCK_ROWS))
    structs = (
        pa.StructArray.from_arrays(part.columns, part.schema.names)
        for batch in batches
        for start in range(0, batch.num_rows, at_once)
        for part in [batch.slice(start, at_once)]
    )
    with limit_threads(plan.task_cpus):
        for block in joined_batches(structs, at_once):
            model = model or loaded(plan.scorer.cache_key, plan.scorer.load)
            carried = [block.field(i) for i in range(plan.schema.n_transported)]
            X = plan.schema.encode(carried)
            rows += X.shape[0]
            # Several values at once: a partition may have few rows, and a call has its cost.
            step = max(1, at_once // X.shape[0])
            place = 0
            for feature, grid in zip(plan.chosen, plan.grids, strict=True):
                for start in range(0, len(grid), step):
                    found = _summed(model, X, feature, grid[start : start + step])
                    sums[place : place + len(found)] += found
                    place += len(found)
    return {"sums": sums, "rows": rows}


def _summed(
    model: Predict, X: Matrix, feature: int, values: Sequence[float]
) -> npt.NDArray[np.float64]:
    """Return the sums of predictions with a feature set to each value, (n_values, n_outputs)."""
    predicted = np.asarray(model(with_values(X, feature, values)), dtype=np.float64)
    if predicted.ndim > 1:
        predicted = predicted / predicted.sum(axis=1, keepdims=True)
    found: npt.NDArray[np.float64] = predicted.reshape(len(values), X.shape[0], -1).sum(axis=1)
    return found


def _shown(schema: FeatureSchema, feature: int, grid: tuple[float, ...]) -> tuple[Any, ...]:
    """Return the values of a grid, as categories where the feature has them."""
    at = 0
    for column in schema.columns:
        if at <= feature < at + column.size:
            if column.kind == "categorical":
                return tuple(column.categories[int(code)] for code in grid)
            return grid
        at += column.size
    return grid
