"""Counts, means and centred squares of a column, by groups: two passes, summed in fixed order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sparkml_dist.cluster.sums.layout import Summands
from sparkml_dist.cluster.sums.over_rows import sum_over_partitions
from sparkml_dist.dataset.column_names import refuse_ambiguous
from sparkml_dist.dataset.many_columns import quoted
from sparkml_dist.errors import DataError, nearest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["GroupMoments", "check_columns", "group_moments", "values_of"]

_MOST_GROUPS = 1_000


@dataclass(frozen=True)
class GroupMoments:
    """Moments of a column in groups of rows.

    Attributes
    ----------
    groups : list of str
        Sorted.
    count, mean, squares : ndarray of shape (groups,)
        Rows, mean, and sum of squares around the mean.
    """

    groups: list[str]
    count: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]

    @property
    def variance(self) -> npt.NDArray[np.float64]:
        """Unbiased variance of each group."""
        return np.asarray(self.squares / (self.count - 1))


def check_columns(df: DataFrame, *names: str) -> None:
    """Raise unless the columns exist.

    Raises
    ------
    DataError
        ``column_not_found`` or ``duplicate_columns``.
    """
    refuse_ambiguous(df, list(names))
    for name in names:
        if name not in df.columns:
            raise DataError(
                "column_not_found",
                f"There is no column {name!r}.{nearest(name, df.columns)}",
                f"Columns are: {', '.join(df.columns[:12])}.",
            )


def values_of(df: DataFrame, column: str, most: int = _MOST_GROUPS) -> list[str]:
    """Return the distinct values of a column as texts, sorted; nulls do not count.

    Raises
    ------
    DataError
        ``too_many_categories``.
    """
    (name,) = quoted([column])
    distinct = df.selectExpr(f"cast({name} AS string) AS v").where("v IS NOT NULL").distinct()
    found = [row["v"] for row in distinct.limit(most + 1).collect()]
    if len(found) > most:
        raise DataError(
            "too_many_categories",
            f"The column {column!r} has more than {most:,} values.",
            "Group rare values.",
        )
    return sorted(found)


def group_moments(df: DataFrame, value: str, by: str) -> GroupMoments:
    """Return the moments of a column in the groups of another, without rows that have a null.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    value : str
        Column of numbers.
    by : str
        Column of groups.
    """
    check_columns(df, value, by)
    groups = values_of(df, by)
    number, group = quoted([value, by])
    rows = df.selectExpr(f"cast({number} AS double) AS x", f"cast({group} AS string) AS g")
    rows = rows.where("x IS NOT NULL AND NOT isnan(x) AND g IS NOT NULL")
    nothing = np.zeros(len(groups))
    first = sum_over_partitions(rows, partial(_sums, groups, nothing))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = first["sum"] / first["count"]
    second = sum_over_partitions(rows, partial(_sums, groups, mean))
    # The rest of the mean's rounding: what the differences add up to.
    with np.errstate(invalid="ignore", divide="ignore"):
        rest = second["sum"] / first["count"]
    squares = second["squares"] - first["count"] * rest * rest
    return GroupMoments(groups, first["count"].astype(np.float64), mean + rest, squares)


def _sums(
    groups: list[str], centre: npt.NDArray[np.float64], batches: Iterator[pa.RecordBatch]
) -> Summands:
    places = pa.array(groups, pa.string())
    total = {
        "count": np.zeros(len(groups), np.int64),
        "sum": np.zeros(len(groups)),
        "squares": np.zeros(len(groups)),
    }
    for batch in batches:
        code = pc.index_in(batch.column(1), value_set=places).to_numpy(zero_copy_only=False)
        code = code.astype(np.int64)
        away = batch.column(0).to_numpy(zero_copy_only=False) - centre[code]
        total["count"] += np.bincount(code, minlength=len(groups))
        total["sum"] += np.bincount(code, away, len(groups))
        total["squares"] += np.bincount(code, away * away, len(groups))
    return total
