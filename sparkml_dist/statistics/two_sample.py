"""Compares the means of two groups of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sparkml_dist.errors import DataError
from sparkml_dist.statistics.group_moments import GroupMoments, group_moments
from sparkml_dist.statistics.hypothesis import TestResult

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["t_result", "t_test"]


def t_test(
    df: DataFrame, *, valueCol: str, groupCol: str, equalVariance: bool = False
) -> TestResult:
    """Test whether the means of two groups are equal: Welch's test, or Student's.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    valueCol : str
        Column of numbers.
    groupCol : str
        Column with two values.
    equalVariance : bool, default=False
        Whether both groups are taken to have one variance (Student).

    Returns
    -------
    TestResult
        The statistic is that of the first group less the second, in the order of their names.

    Raises
    ------
    DataError
        ``column_not_found``, ``group_count`` or ``too_few_rows``.

    References
    ----------
    Welch (1947), Biometrika 34.

    Examples
    --------
    >>> two = iris.where("species != 'setosa'")
    >>> found = t_test(two, valueCol="petal_width", groupCol="species")
    >>> round(found.statistic, 4), round(found.degreesOfFreedom[0], 2)
    (-14.6254, 89.04)
    """
    return t_result(group_moments(df, valueCol, groupCol), groupCol, equal=equalVariance)


def t_result(found: GroupMoments, group: str, *, equal: bool) -> TestResult:
    """Return the t test of two groups whose moments are known.

    Parameters
    ----------
    found : GroupMoments
    group : str
        Name of the groups' column, for messages.
    equal : bool
        Whether both groups are taken to have one variance.

    Raises
    ------
    DataError
        ``group_count`` or ``too_few_rows``.
    """
    from scipy import stats

    if len(found.groups) != 2:
        raise DataError(
            "group_count",
            f"A t test compares two groups; {group!r} has {len(found.groups)} value(s).",
            "Filter the rows, or use anova for more groups.",
        )
    if found.count.min() < 2:
        raise DataError("too_few_rows", "A group has fewer than two rows.", "Give more rows.")
    parts = found.variance / found.count
    if equal:
        freedom = float(found.count.sum() - 2)
        parts = found.squares.sum() / freedom / found.count
    else:
        freedom = float(parts.sum() ** 2 / (parts**2 / (found.count - 1)).sum())
    statistic = float((found.mean[0] - found.mean[1]) / np.sqrt(parts.sum()))
    return TestResult(
        "Student's t test" if equal else "Welch's t test",
        statistic,
        float(2 * stats.t.sf(abs(statistic), freedom)),
        (freedom,),
        int(found.count.sum()),
        {"means": dict(zip(found.groups, found.mean.tolist(), strict=True))},
    )
