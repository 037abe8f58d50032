"""Corrections of p-values for multiple testing, distributed over the cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["CORRECTIONS", "adjusted"]

CORRECTIONS = ("bonferroni", "benjamini-hochberg")

_BUCKETS = 32


def adjusted(
    df: DataFrame, hypotheses: int, method: str, *, p: str = "pValue", out: str = "adjustedPValue"
) -> DataFrame:
    """Add p-values that are adjusted for the number of hypotheses.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        With a column of p-values. It is read several times; persist it.
    hypotheses : int
        Number of hypotheses, at least the rows of `df`. Those without a row are assumed to have
        larger p-values, which is conservative.
    method : {"bonferroni", "benjamini-hochberg"}
        ``"bonferroni"``: m·p, which controls the family-wise error rate. ``"benjamini-hochberg"``:
        the least m·p/rank of this and all larger p-values, which controls the false discovery rate
        (1995).
    p, out : str
        Names of the columns.

    Returns
    -------
    pyspark.sql.DataFrame

    Notes
    -----
    Ranks need a global order. The distinct values are divided into buckets at approximate
    quantiles. Each bucket is ranked by itself; the driver gets only the buckets' sums.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.window import Window

    m = float(hypotheses)
    if method == "bonferroni":
        return df.withColumn(out, F.least(F.lit(1.0), F.col(p) * m))
    bounds = sorted({*df.approxQuantile(p, [i / _BUCKETS for i in range(1, _BUCKETS)], 0.01)})
    bucket = F.lit(0)
    for bound in bounds:
        bucket = bucket + (F.col(p) > bound).cast("int")
    values = df.groupBy(F.col(p)).agg(F.count("*").alias("times")).withColumn("bucket", bucket)
    in_bucket = Window.partitionBy("bucket").orderBy(p)
    times: dict[int, int] = dict(values.groupBy("bucket").agg(F.sum("times")).collect())
    offsets: dict[int, float] = {}
    before = 0.0
    for b in sorted(times):
        offsets[b] = before
        before += times[b]
    ranked = values.withColumn("rank", F.sum("times").over(in_bucket) + _by_bucket(offsets))
    ratio = ranked.withColumn("ratio", F.col(p) * m / F.col("rank"))
    least: dict[int, float] = dict(ratio.groupBy("bucket").agg(F.min("ratio")).collect())
    after, later = 1.0, {}
    for b in sorted(least, reverse=True):
        later[b] = after
        after = min(after, least[b])
    onward = in_bucket.rowsBetween(Window.currentRow, Window.unboundedFollowing)
    final = ratio.select(
        F.col(p), F.least(F.min("ratio").over(onward), _by_bucket(later)).alias(out)
    )
    return df.join(final, on=p, how="left").select(*df.columns, out)


def _by_bucket(values: dict[int, float]) -> Column:
    from pyspark.sql import functions as F

    if not values:
        return F.lit(0)
    chosen = F.lit(None)
    for b, value in values.items():
        chosen = F.when(F.col("bucket") == b, F.lit(value)).otherwise(chosen)
    return chosen
