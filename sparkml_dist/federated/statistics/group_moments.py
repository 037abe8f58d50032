"""Means and variances of a column in groups, and the tests that compare them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from sparkml_dist.federated.statistics.agreed_columns import AgreedColumns
from sparkml_dist.federated.statistics.cells import check_minimum, least_count, small_cells
from sparkml_dist.federated.statistics.pool import Pool, over_same_silos
from sparkml_dist.federated.work import Answer, Declaration, SiloWork
from sparkml_dist.statistics.analysis_of_variance import anova_result
from sparkml_dist.statistics.group_moments import GroupMoments
from sparkml_dist.statistics.hypothesis import TestResult
from sparkml_dist.statistics.two_sample import t_result

if TYPE_CHECKING:
    from sparkml_dist.federated.federation import Federation
    from sparkml_dist.federated.message import Message
    from sparkml_dist.federated.schema import FederatedSchema
    from sparkml_dist.federated.silo import Silo

__all__ = ["GroupMomentsWork", "federated_anova", "federated_t_test"]


class GroupMomentsWork(SiloWork):
    """Counts, sums and squares of a column in groups around given centres, in one silo.

    Asked with the facts ``value``, ``group`` and ``minimum`` and the array ``centre``. Groups with
    fewer rows than the minimum are left out: zeros, and 1 in ``suppressed``.
    """

    kind: ClassVar[str] = "group_moments"
    summable: ClassVar[bool] = True

    def declare(self, request: Message, schema: FederatedSchema) -> Declaration:
        """Return the shapes of the sums."""
        k = (len(AgreedColumns(schema).categories(request.facts["group"])),)
        counts = dict.fromkeys(("rows", "suppressed"), ("i8", k))
        return Declaration({**counts, "sum": ("f8", k), "squares": ("f8", k)})

    def answer(self, silo: Silo, request: Message) -> Answer:
        """Add up the silo's rows."""
        columns = AgreedColumns(silo.schema)
        value, group = request.facts["value"], request.facts["group"]
        columns.check_numbers(value)
        k, centre = len(columns.categories(group)), request.arrays["centre"]
        rows, sums = np.zeros(k, np.int64), np.zeros((2, k))
        for block in silo.blocks():
            number, code = columns.numbers_of(block, [value])[:, 0], columns.codes(block, group)
            known = ~np.isnan(number) & (code >= 0)
            code = code[known]
            away = number[known] - centre[code]
            rows += np.bincount(code, minlength=k)
            sums += (np.bincount(code, away, k), np.bincount(code, away * away, k))
        hidden = small_cells(rows, least_count(silo, request.facts))
        kept = 1 - hidden
        return Answer(
            arrays={
                "rows": rows * kept,
                "sum": sums[0] * kept,
                "squares": sums[1] * kept,
                "suppressed": hidden,
            }
        )


def federated_anova(
    federation: Federation,
    *,
    valueCol: str,
    groupCol: str,
    equalVariance: bool = True,
    minimumCount: int = 1,
    minimumSilos: int | None = None,
    secure: Any = None,
) -> TestResult:
    """Test whether the means of several groups are equal, over the rows of all silos.

    Two rounds of counts, sums and squares by group; see `sparkml_dist.statistics.anova`.

    Parameters
    ----------
    federation : Federation
    valueCol : str
        Column of numbers.
    groupCol : str
        Column of categories, or the label of classes.
    equalVariance : bool, default=True
        False for Welch's test, which takes every group to have a variance of its own.
    minimumCount : int, default=1
        A silo leaves a group out of which it has fewer rows than this, or than its own policy
        asks for.
    minimumSilos, secure
        As for `federated_moments`.

    Returns
    -------
    TestResult
        ``estimates`` has ``means``, ``suppressed`` (how many silos left each group out),
        ``silos``, ``rounds`` and ``failed``.

    Raises
    ------
    DataError
        ``column_not_found``, ``column_type``, ``group_count`` or ``too_few_rows``.
    """

    def compute(pool: Pool) -> TestResult:
        moments, facts = _moments(pool, valueCol, groupCol, minimumCount)
        return _with(anova_result(moments, groupCol, equal=equalVariance), facts)

    return over_same_silos(federation, compute, minimumSilos=minimumSilos, secure=secure)


def federated_t_test(
    federation: Federation,
    *,
    valueCol: str,
    groupCol: str,
    equalVariance: bool = False,
    minimumCount: int = 1,
    minimumSilos: int | None = None,
    secure: Any = None,
) -> TestResult:
    """Test whether the means of two groups are equal, over the rows of all silos.

    Parameters
    ----------
    federation, valueCol, groupCol, minimumCount, minimumSilos, secure
        As for `federated_anova`.
    equalVariance : bool, default=False
        Whether both groups are taken to have one variance (Student); otherwise Welch's test.

    Returns
    -------
    TestResult
        As of `federated_anova`; the statistic is that of the first group less the second.
    """

    def compute(pool: Pool) -> TestResult:
        moments, facts = _moments(pool, valueCol, groupCol, minimumCount)
        return _with(t_result(moments, groupCol, equal=equalVariance), facts)

    return over_same_silos(federation, compute, minimumSilos=minimumSilos, secure=secure)


def _moments(
    pool: Pool, value: str, group: str, minimum: int
) -> tuple[GroupMoments, dict[str, Any]]:
    agreed = AgreedColumns(pool.schema)
    agreed.check_numbers(value)
    groups = agreed.categories(group)
    facts = {"value": value, "group": group, "minimum": check_minimum(minimum)}
    first = pool.sum("group_moments", facts, {"centre": np.zeros(len(groups))})
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.nan_to_num(first["sum"] / first["rows"])
    second = pool.sum("group_moments", facts, {"centre": mean})
    n = second["rows"].astype(np.float64)
    seen = n > 0
    n, mean = n[seen], mean[seen]
    rest = second["sum"][seen] / n
    squares = second["squares"][seen] - n * rest * rest
    names = [g for g, kept in zip(groups, seen, strict=True) if kept]
    hidden = dict(zip(groups, second["suppressed"].tolist(), strict=True))
    return GroupMoments(names, n, mean + rest, squares), {"suppressed": hidden, **pool.facts()}


def _with(result: TestResult, facts: dict[str, Any]) -> TestResult:
    return replace(result, estimates={**result.estimates, **facts})
