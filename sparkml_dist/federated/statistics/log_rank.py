"""The log-rank test over the rows of all silos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import DataError
from sparkml_dist.federated.statistics.agreed_columns import AgreedColumns
from sparkml_dist.federated.statistics.cells import check_minimum
from sparkml_dist.federated.statistics.kaplan_meier import event_table
from sparkml_dist.federated.statistics.pool import Pool, over_same_silos
from sparkml_dist.federated.statistics.survival_rows import check_survival, checked_grid
from sparkml_dist.statistics.hypothesis import TestResult

if TYPE_CHECKING:
    from sparkml_dist.federated.federation import Federation

__all__ = ["federated_log_rank"]


def federated_log_rank(
    federation: Federation,
    *,
    timeCol: str,
    eventCol: str,
    groupCol: str,
    times: Sequence[float] | None = None,
    minimumCount: int = 1,
    minimumSilos: int | None = None,
    secure: Any = None,
) -> TestResult:
    """Test whether survival is equal in several groups, over the rows of all silos.

    Parameters
    ----------
    federation : Federation
    timeCol, eventCol : str
        Time of each row, and whether it is that of an event (1) or of censoring (0).
    groupCol : str
        Column of categories.
    times, minimumCount, minimumSilos, secure
        As for `federated_kaplan_meier`.

    Returns
    -------
    TestResult
        ``estimates`` has ``observed`` and ``expected`` events by group, ``suppressed_times``,
        ``silos``, ``rounds``, ``failed`` and ``bytes_per_silo_round``.

    Raises
    ------
    DataError
        As `federated_kaplan_meier`, and ``group_count`` for fewer than two groups with rows.
    ConfigurationError
        ``invalid_param`` or ``conflicting_params``.

    References
    ----------
    Mantel (1966), Cancer Chemotherapy Reports 50. Peto, Peto (1972), Journal of the Royal
    Statistical Society A 135.
    """
    from scipy import stats

    agreed, grid = AgreedColumns(federation.schema), checked_grid(times)
    facts = {"time": timeCol, "event": eventCol, "minimum": check_minimum(minimumCount)}
    check_survival(agreed, facts)
    groups = agreed.categories(groupCol)

    def compute(pool: Pool) -> TestResult:
        _, found = event_table(pool, facts, grid, groupCol)
        seen = found["rows"] > 0
        names = [g for g, kept in zip(groups, seen, strict=True) if kept]
        if len(names) < 2:
            raise DataError(
                "group_count",
                f"{groupCol!r} has rows in {len(names)} group(s); groups are compared.",
                "Name another column.",
            )
        observed, expected, variance = _scores(found["at_risk"][seen], found["events"][seen])
        away = (observed - expected)[:-1]
        rank = int(np.linalg.matrix_rank(variance[:-1, :-1]))
        if not rank:
            raise DataError(
                "no_events",
                "At no time of an event were rows of two groups at risk.",
                "Give more rows.",
            )
        statistic = float(away @ np.linalg.pinv(variance[:-1, :-1], hermitian=True) @ away)
        return TestResult(
            "Log-rank test",
            statistic,
            float(stats.chi2.sf(statistic, rank)),
            (float(rank),),
            int(found["rows"].sum()),
            {
                "observed": dict(zip(names, observed.tolist(), strict=True)),
                "expected": dict(zip(names, expected.tolist(), strict=True)),
                "suppressed_times": int(found["suppressed"].sum()),
                **pool.facts(),
            },
        )

    return over_same_silos(federation, compute, minimumSilos=minimumSilos, secure=secure)


def _scores(
    at_risk: npt.NDArray[np.int64], events: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return observed and expected events by group, and the covariance of the differences."""
    r, d = at_risk.astype(np.float64), events.astype(np.float64)
    n, total = r.sum(axis=0), d.sum(axis=0)
    r, d, n, total = r[:, n > 0], d[:, n > 0], n[n > 0], total[n > 0]
    share = r / n
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(n > 1, total * (n - total) / (n - 1), 0.0)
    variance = np.diag(share @ factor) - (share * factor) @ share.T
    return d.sum(axis=1), share @ total, variance
