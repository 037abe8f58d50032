"""Spark's estimate of a table's size, without computing the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkml_dist.session import is_connect

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["planned_bytes"]


def planned_bytes(df: DataFrame) -> int | None:
    """Return Spark's own estimate of a table's bytes: a hint, never a bound.

    Exact for cached tables and files, rough for tables computed from them. No job runs.

    Parameters
    ----------
    df : pyspark.sql.DataFrame

    Returns
    -------
    int or None
        None under Connect, which does not report it.
    """
    if is_connect(df.sparkSession):
        return None
    plan = df._jdf.queryExecution().optimizedPlan()
    return int(str(plan.stats().sizeInBytes()))
