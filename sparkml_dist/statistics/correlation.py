"""Tests whether two columns of numbers are correlated."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sparkml_dist.cluster.sums.layout import Summands
from sparkml_dist.cluster.sums.over_rows import sum_over_partitions
from sparkml_dist.dataset.many_columns import quoted
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.statistics.group_moments import check_columns
from sparkml_dist.statistics.hypothesis import TestResult

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["check_level", "correlation_result", "correlation_test"]


def correlation_test(
    df: DataFrame, *, firstCol: str, secondCol: str, level: float = 0.95
) -> TestResult:
    """Test Pearson's correlation of two columns against 0.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    firstCol, secondCol : str
        Columns of numbers.
    level : float, default=0.95
        Of the confidence interval, by Fisher's transformation.

    Returns
    -------
    TestResult
        ``estimates`` has ``correlation`` and ``interval``.

    Raises
    ------
    DataError
        ``column_not_found``, ``too_few_rows`` or ``constant_feature``.
    ConfigurationError
        ``invalid_param``.

    Examples
    --------
    >>> found = correlation_test(iris, firstCol="petal_length", secondCol="petal_width")
    >>> round(found.estimates["correlation"], 4), found.degreesOfFreedom
    (0.9629, (148.0,))
    """
    check_level(level)
    check_columns(df, firstCol, secondCol)
    first, second = quoted([firstCol, secondCol])
    pairs = df.selectExpr(f"cast({first} AS double) AS a", f"cast({second} AS double) AS b")
    pairs = pairs.where("a IS NOT NULL AND b IS NOT NULL AND NOT isnan(a) AND NOT isnan(b)")
    once = sum_over_partitions(pairs, partial(_products, np.zeros(2)))
    n = int(once["rows"])
    if n < 4:
        raise DataError("too_few_rows", f"There are {n} rows without missing values.")
    found = sum_over_partitions(pairs, partial(_products, once["sum"] / n))
    products = found["products"] - np.outer(found["sum"], found["sum"]) / n
    lengths = np.sqrt(np.diag(products))
    if not (lengths > 0).all():
        name = firstCol if lengths[0] == 0 else secondCol
        raise DataError("constant_feature", f"The column {name!r} has no variance.")
    return correlation_result(products, n, level)


def check_level(level: float) -> None:
    """Raise `ConfigurationError` unless a level of confidence is between 0 and 1."""
    if not 0 < level < 1:
        raise ConfigurationError("invalid_param", f"level must be > 0 and < 1. Got {level!r}.")


def correlation_result(products: npt.NDArray[np.float64], n: int, level: float) -> TestResult:
    """Return the test of two columns with variance.

    Parameters
    ----------
    products : ndarray of shape (2, 2)
        Sums of squares and products around the means.
    n : int
        Number of rows.
    level : float
        Of the confidence interval.
    """
    from scipy import stats

    lengths = np.sqrt(np.diag(products))
    r = float(np.clip(products[0, 1] / lengths[0] / lengths[1], -1.0, 1.0))
    with np.errstate(divide="ignore"):
        statistic = float(np.divide(r * np.sqrt(n - 2), np.sqrt(1 - r * r)))
        middle = float(np.arctanh(r))
    width = float(stats.norm.ppf(0.5 + level / 2) / np.sqrt(n - 3))
    return TestResult(
        "Pearson's correlation",
        statistic,
        float(2 * stats.t.sf(abs(statistic), n - 2)),
        (float(n - 2),),
        n,
        {
            "correlation": r,
            "interval": (float(np.tanh(middle - width)), float(np.tanh(middle + width))),
        },
    )


def _products(centre: npt.NDArray[np.float64], batches: Iterator[pa.RecordBatch]) -> Summands:
    products, total, rows = np.zeros((2, 2)), np.zeros(2), 0
    for batch in batches:
        columns = [c.to_numpy(zero_copy_only=False) for c in batch.columns]
        away = np.column_stack(columns) - centre
        products += away.T @ away
        total += away.sum(axis=0)
        rows += len(away)
    return {"products": products, "sum": total, "rows": rows}
