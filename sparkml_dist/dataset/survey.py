"""What is settled of a data set before a row of it moves: roles, widths, classes, categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkml_dist.cluster.progress import job_description
from sparkml_dist.cluster.workers import check_workers
from sparkml_dist.dataset.columns import ColumnPlan, Task, resolve_columns
from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.rounded_features import warn_of_rounding
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.dataset.statistics import category_lists, feature_columns, row_statistics

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["Survey", "survey"]


@dataclass(frozen=True)
class Survey:
    """What is known of a DataFrame before it becomes shards.

    Attributes
    ----------
    plan : ColumnPlan
    schema : FeatureSchema
    label : Label
        With the global class list.
    rows : int
    row_bytes : float
        Bytes of a row in memory, as part of a block.
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
) -> Survey:
    """Give the columns of `df` their roles and look at its rows.

    What the schema alone can refuse is refused before the first job; then a worker is looked at;
    then the rows are read once for label and weight, the first ones for what float32 cannot tell
    apart, and all once for each of what only some data has: vector columns, categories.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    label, features, weight, key, categorical, task
        As for `resolve_columns`.
    memory : int, optional
        Bytes that each concurrent task is going to need.

    Returns
    -------
    Survey

    Raises
    ------
    DataError, ConfigurationError
        As `resolve_columns`, `feature_columns`, `row_statistics` and `category_lists` have it.
    ResourceError
        As `check_workers` has it.
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
    with job_description(spark, "sparkml_dist: look at the data"):
        columns, sparse, row_bytes = feature_columns(df, plan.features)
        statistics = row_statistics(df, plan)
        warn_of_rounding(df, [c.name for c in columns if c.kind == "numeric"])
        categories = category_lists(df, [c.name for c in columns if c.kind == "categorical"])
    schema = FeatureSchema.build(columns, sparse=sparse).with_categories(categories)
    return Survey(plan, schema, statistics.label, statistics.rows, row_bytes)
