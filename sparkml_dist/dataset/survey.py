"""Everything about a data set that is settled before it is partitioned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkml_dist.cluster.progress import job_description
from sparkml_dist.cluster.workers import check_workers
from sparkml_dist.dataset.columns import ColumnPlan, Task, resolve_columns
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.rounded_features import warn_of_rounding
from sparkml_dist.dataset.schema import FeatureSchema, Precision
from sparkml_dist.dataset.statistics import category_lists, feature_columns, row_statistics

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Survey", "survey"]


@dataclass(frozen=True)
class Survey:
    """Facts about a DataFrame before it becomes shards.

    Attributes
    ----------
    plan : ColumnPlan
    schema : FeatureSchema
    label : Label
        With the global class list.
    rows : int
    row_bytes : float
        Bytes of a row in a block in memory.
    """

    plan: ColumnPlan
    schema: FeatureSchema
    label: Label
    rows: int
    row_bytes: float


def survey(
    df: DataFrame,
    *,
    label: str,
    features: str | Sequence[str] | None,
    weight: str | None,
    key: str | Sequence[str] | None,
    categorical: Sequence[str],
    task: Task,
    memory: int | None = None,
    precision: Precision = "float32",
) -> Survey:
    """Assign the roles of the columns of `df` and inspect its rows.

    Errors that the schema shows are raised before the first job. Then a worker is checked, the rows
    are read once for label and weight, the first rows are checked for rounding to float32, and the
    rows are read once more for vector columns and once more for categories, if there are any.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    label, features, weight, key, categorical, task
        As for `resolve_columns`.
    memory : int, optional
        Bytes that each concurrent task will need.
    precision : {"float32", "float64"}
        Type of the features.

    Returns
    -------
    Survey

    Raises
    ------
    DataError, ConfigurationError
        Those of `resolve_columns`, `feature_columns`, `row_statistics` and `category_lists`.
    ResourceError
        Those of `check_workers`.
    """
    plan = resolve_columns(
        df,
        label=label,
        features=features,
        weight=weight,
        key=key,
        categorical=categorical,
        task=task,
    )
    spark = df.sparkSession
    check_workers(spark, memory=memory)
    with job_description(spark, "sparkml_dist: inspect the data"):
        columns, sparse, row_bytes = feature_columns(df, plan.features)
        statistics = row_statistics(df, plan)
        if precision == "float32":
            warn_of_rounding(df, [c.name for c in columns if c.kind == "numeric"])
        categories = category_lists(df, [c.name for c in columns if c.kind == "categorical"])
    schema = FeatureSchema.build(columns, sparse=sparse, precision=precision)
    schema = schema.with_categories(categories)
    row_bytes *= schema.dtype.itemsize / 4  # it was that of float32
    return Survey(plan, schema, statistics.label, statistics.rows, row_bytes)
