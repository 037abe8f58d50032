"""Tests whether two columns of categories are independent."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.cluster.sums.layout import Summands
from sparkml_dist.cluster.sums.over_rows import sum_over_partitions
from sparkml_dist.dataset.many_columns import quoted
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.statistics.group_moments import check_columns, values_of
from sparkml_dist.statistics.hypothesis import TestResult

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["check_method", "contingency_result", "contingency_test"]


def contingency_test(
    df: DataFrame, *, rowCol: str, columnCol: str, method: str = "pearson"
) -> TestResult:
    """Test whether two columns of categories are independent.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    rowCol, columnCol : str
        Columns of categories.
    method : {"pearson", "likelihood"}, default="pearson"
        The statistic: Pearson's X² (without a correction of continuity), or the likelihood
        ratio G².

    Returns
    -------
    TestResult
        ``estimates`` has ``table`` (counts), ``rows``, ``columns`` (categories) and ``cramers_v``.

    Raises
    ------
    DataError
        ``column_not_found``, ``group_count`` or ``too_many_categories``.
    ConfigurationError
        ``invalid_param``.

    Examples
    --------
    >>> wide = iris.selectExpr("species", "petal_width > 1.5 AS wide")
    >>> found = contingency_test(wide, rowCol="species", columnCol="wide")
    >>> round(found.statistic, 3), found.degreesOfFreedom
    (117.681, (2.0,))
    """
    check_method(method)
    check_columns(df, rowCol, columnCol)
    rows, columns = values_of(df, rowCol), values_of(df, columnCol)
    if min(len(rows), len(columns)) < 2:
        name = rowCol if len(rows) < 2 else columnCol
        raise DataError("group_count", f"{name!r} has fewer than two values.")
    first, second = quoted([rowCol, columnCol])
    pairs = df.selectExpr(f"cast({first} AS string) AS a", f"cast({second} AS string) AS b")
    pairs = pairs.where("a IS NOT NULL AND b IS NOT NULL")
    table = sum_over_partitions(pairs, partial(_counts, rows, columns))["table"]
    return contingency_result(table, rows, columns, method)


def check_method(method: str) -> None:
    """Raise `ConfigurationError` unless the method is ``"pearson"`` or ``"likelihood"``."""
    if method not in ("pearson", "likelihood"):
        raise ConfigurationError(
            "invalid_param", f"method must be 'pearson' or 'likelihood'. Got {method!r}."
        )


def contingency_result(
    table: npt.NDArray[np.int64], rows: list[str], columns: list[str], method: str
) -> TestResult:
    """Return the test of a table of counts; rows and columns without counts are left out.

    Parameters
    ----------
    table : ndarray of int64, shape (rows, columns)
    rows, columns : list of str
        Categories.
    method : {"pearson", "likelihood"}

    Raises
    ------
    DataError
        ``group_count``.
    """
    from scipy import stats
    from scipy.special import xlogy

    seen, across = table.sum(axis=1) > 0, table.sum(axis=0) > 0
    table = table[seen][:, across]
    total = float(table.sum())
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(total, 1.0)
    freedom = float((table.shape[0] - 1) * (table.shape[1] - 1))
    if freedom < 1:
        raise DataError("group_count", "No rows have values in both columns that differ.")
    if method == "pearson":
        statistic = float(((table - expected) ** 2 / expected).sum())
    else:
        statistic = float(2 * xlogy(table, table / expected).sum())
    pearson = float(((table - expected) ** 2 / expected).sum())
    return TestResult(
        "Pearson's X² test" if method == "pearson" else "Likelihood ratio test",
        statistic,
        float(stats.chi2.sf(statistic, freedom)),
        (freedom,),
        int(total),
        {
            "table": table.tolist(),
            "rows": [name for name, kept in zip(rows, seen, strict=True) if kept],
            "columns": [name for name, kept in zip(columns, across, strict=True) if kept],
            "cramers_v": float(np.sqrt(pearson / total / (min(table.shape) - 1))),
        },
    )


def _counts(rows: list[str], columns: list[str], batches: Iterator[pa.RecordBatch]) -> Summands:
    width = len(columns)
    found = np.zeros(len(rows) * width, np.int64)
    for batch in batches:
        a = pc.index_in(batch.column(0), value_set=pa.array(rows, pa.string()))
        b = pc.index_in(batch.column(1), value_set=pa.array(columns, pa.string()))
        cell = a.to_numpy(zero_copy_only=False).astype(np.int64) * width
        cell += b.to_numpy(zero_copy_only=False).astype(np.int64)
        found += np.bincount(cell, minlength=len(found))
    return {"table": found.reshape(len(rows), width)}
