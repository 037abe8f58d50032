"""The share of the frequent patterns' support that a row contains: low for unusual rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sparkml_dist.dataset.column_names import with_outputs
from sparkml_dist.dataset.streams import refuse_stream

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["JOINS_PATTERNS", "with_support_score"]

#: Why streams are refused.
JOINS_PATTERNS = "joins each distinct row with all patterns, and sums over them"

_ROW = "_sparkml_dist_row"
_SUM = "_sparkml_dist_sum"


def with_support_score(
    df: DataFrame,
    row: Column,
    items: Callable[[Column], Column],
    patterns: DataFrame,
    number: int,
    holds: Callable[[Column, Column], Column],
    output: str,
) -> DataFrame:
    """Add to each row the summed support of the patterns it contains, over their number.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    row : Column
        Baskets or sequences that may contain patterns. Equal ones are matched once.
    items : function of Column
        Returns the distinct items of a row.
    patterns : pyspark.sql.DataFrame
        With ``pattern``, ``anchor`` (an item of the pattern) and ``support``. A pattern is joined
        only with rows that contain its anchor.
    number : int
        Number of patterns.
    holds : function of (Column, Column)
        Returns whether a row contains a pattern.
    output : str
        Column that is added: a double in [0, 1], 0 for rows that are null.

    Raises
    ------
    DataError
        ``stream_not_supported``.

    References
    ----------
    He, Xu, Huang, Deng (2005), "FP-outlier: frequent pattern based outlier detection".
    """
    from pyspark.sql import functions as F

    refuse_stream(df, "The transform of patterns", JOINS_PATTERNS)
    keyed = df.withColumn(_ROW, row)
    met = (
        keyed.select(_ROW)
        .where(F.col(_ROW).isNotNull())
        .distinct()
        .withColumn("anchor", F.explode(items(F.col(_ROW))))
        .join(patterns, on="anchor")
    )
    held = met.where(holds(F.col(_ROW), F.col("pattern")))
    sums = held.groupBy(_ROW).agg(F.sum("support").alias(_SUM))
    score = F.coalesce(F.col(_SUM), F.lit(0.0)) / F.lit(float(max(1, number)))
    return with_outputs(
        keyed.join(sums, on=_ROW, how="left"), {output: score}, temporary=[_ROW, _SUM]
    )
