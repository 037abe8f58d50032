"""One-way analysis of variance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkml_dist.errors import DataError
from sparkml_dist.statistics.group_moments import GroupMoments, group_moments
from sparkml_dist.statistics.hypothesis import TestResult

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["anova", "anova_result"]


def anova(df: DataFrame, *, valueCol: str, groupCol: str, equalVariance: bool = True) -> TestResult:
    """Test whether the means of several groups are equal.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    valueCol : str
        Column of numbers.
    groupCol : str
        Column of groups.
    equalVariance : bool, default=True
        False for Welch's test, which takes every group to have a variance of its own.

    Returns
    -------
    TestResult

    Raises
    ------
    DataError
        ``column_not_found``, ``group_count``, ``too_few_rows`` or ``too_many_categories``.

    References
    ----------
    Welch (1951), "On the comparison of several mean values", Biometrika 38.

    Examples
    --------
    >>> found = anova(iris, valueCol="sepal_width", groupCol="species")
    >>> round(found.statistic, 3), found.degreesOfFreedom
    (49.16, (2.0, 147.0))
    """
    return anova_result(group_moments(df, valueCol, groupCol), groupCol, equal=equalVariance)


def anova_result(found: GroupMoments, group: str, *, equal: bool) -> TestResult:
    """Return the analysis of variance of groups whose moments are known.

    Parameters
    ----------
    found : GroupMoments
    group : str
        Name of the groups' column, for messages.
    equal : bool
        Whether all groups are taken to have one variance.

    Raises
    ------
    DataError
        ``group_count`` or ``too_few_rows``.
    """
    from scipy import stats

    k, n = len(found.groups), found.count
    if k < 2:
        raise DataError(
            "group_count", f"{group!r} has {k} value(s); groups are compared with each other."
        )
    if n.min() < (1 if equal else 2) or n.sum() <= k:
        raise DataError("too_few_rows", "There are too few rows in a group.", "Give more rows.")
    total = n.sum()
    if equal:
        grand = (n * found.mean).sum() / total
        between = (n * (found.mean - grand) ** 2).sum() / (k - 1)
        within = found.squares.sum() / (total - k)
        statistic, freedom = float(between / within), (float(k - 1), float(total - k))
    else:
        w = n / found.variance
        grand = (w * found.mean).sum() / w.sum()
        between = (w * (found.mean - grand) ** 2).sum() / (k - 1)
        loss = ((1 - w / w.sum()) ** 2 / (n - 1)).sum()
        statistic = float(between / (1 + 2 * (k - 2) / (k * k - 1) * loss))
        freedom = (float(k - 1), float((k * k - 1) / (3 * loss)))
    return TestResult(
        "One-way analysis of variance" if equal else "Welch's analysis of variance",
        statistic,
        float(stats.f.sf(statistic, *freedom)),
        freedom,
        int(total),
        {"means": dict(zip(found.groups, found.mean.tolist(), strict=True))},
    )
