"""How large Spark takes a table to be, before it is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkml_dist.session import is_connect

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["planned_bytes"]


def planned_bytes(df: DataFrame) -> int | None:
    """Return Spark's own estimate of a table's bytes: a hint for plans, never a bound.

    Exact for cached tables and files, and vague for what is computed from them. Nothing runs.

    Parameters
    ----------
    df : pyspark.sql.DataFrame

    Returns
    -------
    int or None
        None over Connect, which does not tell.
    """
    if is_connect(df.sparkSession):
        return None
    plan = df._jdf.queryExecution().optimizedPlan()
    return int(str(plan.stats().sizeInBytes()))
