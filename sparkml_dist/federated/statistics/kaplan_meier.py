"""Kaplan-Meier estimates of survival over the rows of all silos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.federated.statistics.agreed_columns import AgreedColumns
from sparkml_dist.federated.statistics.cells import check_minimum
from sparkml_dist.federated.statistics.pool import Pool, over_same_silos
from sparkml_dist.federated.statistics.survival_rows import check_survival, checked_grid
from sparkml_dist.statistics.correlation import check_level

if TYPE_CHECKING:
    import pandas as pd

    from sparkml_dist.federated.federation import Federation

__all__ = ["event_table", "federated_kaplan_meier", "survival_times"]

Array = npt.NDArray[np.float64]

_INTERVALS = ("log-log", "log", "plain")


def survival_times(pool: Pool, facts: dict[str, Any], grid: Array | None) -> Array:
    """Return the grid, or in one round the distinct times of events of all silos.

    Raises
    ------
    DataError
        ``no_events``.
    ConfigurationError
        ``conflicting_params`` for a secure sum without a grid.
    """
    if grid is not None:
        return grid
    every = [answer.arrays["times"] for _, answer in pool.ask("event_times", facts)]
    times = np.unique(np.concatenate(every))
    if not len(times):
        raise DataError(
            "no_events", f"No row of the silos has an event in {facts['event']!r}.", "Check it."
        )
    return times


def event_table(
    pool: Pool, facts: dict[str, Any], grid: Array | None, group: str | None
) -> tuple[Array, dict[str, npt.NDArray[np.int64]]]:
    """Return times, and rows at risk and events of each group at them.

    Parameters
    ----------
    pool : Pool
    facts : dict
        ``time``, ``event`` and ``minimum``.
    grid : ndarray or None
        Times; by default those of events.
    group : str or None
        Column of categories.
    """
    times = survival_times(pool, facts, grid)
    request = {**facts, "group": group, "round_up": grid is not None}
    return times, pool.sum("event_counts", request, {"times": times})


def federated_kaplan_meier(
    federation: Federation,
    *,
    timeCol: str,
    eventCol: str,
    groupCol: str | None = None,
    times: Sequence[float] | None = None,
    level: float = 0.95,
    interval: str = "log-log",
    minimumCount: int = 1,
    minimumSilos: int | None = None,
    secure: Any = None,
) -> pd.DataFrame:
    """Estimate survival by Kaplan and Meier, with Greenwood's errors, over the rows of all silos.

    Parameters
    ----------
    federation : Federation
    timeCol, eventCol : str
        Time of each row, and whether it is that of an event (1) or of censoring (0): features, or
        the label.
    groupCol : str, optional
        Column of categories with a curve each.
    times : sequence of float, optional
        Ascending grid to which times are rounded up; then nothing but counts at these times leaves
        a silo. Without, the distinct times of events leave each silo in a first round, and the
        result is exactly that of the pooled rows.
    level : float, default=0.95
        Of the confidence intervals.
    interval : {"log-log", "log", "plain"}, default="log-log"
        Scale on which intervals are formed.
    minimumCount : int, default=1
        A silo takes the rows of a group as censored from where fewer than this are at risk.
    minimumSilos : int, optional
        As for `federated_moments`.
    secure : SecureSum, optional
        With `times` only.

    Returns
    -------
    pandas.DataFrame
        One row for each group and time: ``group``, ``time``, ``at_risk``, ``events``,
        ``survival``, ``standard_error``, ``low`` and ``high``. ``attrs`` holds ``medians`` (by
        group; NaN where survival stays above one half), ``suppressed_times`` (by group, over all
        silos), ``silos``, ``rounds``, ``failed`` and ``bytes_per_silo_round``.

    Raises
    ------
    DataError
        ``column_not_found``, ``column_type``, ``bad_times``, ``target_not_of_family`` or
        ``no_events``.
    ConfigurationError
        ``invalid_param`` or ``conflicting_params``.

    References
    ----------
    Kaplan, Meier (1958), Journal of the American Statistical Association 53. Greenwood (1926).
    Kalbfleisch, Prentice (2002), "The statistical analysis of failure time data".
    """
    import pandas as pd

    check_level(level)
    if interval not in _INTERVALS:
        raise ConfigurationError(
            "invalid_param", f"interval must be one of {', '.join(_INTERVALS)}. Got {interval!r}."
        )
    agreed, grid = AgreedColumns(federation.schema), checked_grid(times)
    facts = {"time": timeCol, "event": eventCol, "minimum": check_minimum(minimumCount)}
    check_survival(agreed, facts)
    groups = [None] if groupCol is None else agreed.categories(groupCol)

    def compute(pool: Pool) -> pd.DataFrame:
        at, found = event_table(pool, facts, grid, groupCol)
        parts, medians = [], {}
        for i, group in enumerate(groups):
            part = _curve(at, found["at_risk"][i], found["events"][i], level, interval)
            part.insert(0, "group", group)
            below = part["time"][part["survival"] <= 0.5]
            medians[group] = float(below.iloc[0]) if len(below) else float("nan")
            parts.append(part)
        table = pd.concat(parts, ignore_index=True)
        hidden = dict(zip(groups, found["suppressed"].tolist(), strict=True))
        table.attrs.update(medians=medians, suppressed_times=hidden, **pool.facts())
        return table

    return over_same_silos(federation, compute, minimumSilos=minimumSilos, secure=secure)


def _curve(times: Array, at_risk: Any, events: Any, level: float, interval: str) -> pd.DataFrame:
    import pandas as pd
    from scipy import stats

    seen = at_risk > 0
    times, n, d = times[seen], at_risk[seen].astype(float), events[seen].astype(float)
    survival = np.cumprod(1 - d / n)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(np.where(n > d, d / (n * (n - d)), np.inf))
        # At the end of a curve that reaches 0 its error has no estimate.
        error = np.where(survival > 0, survival * np.sqrt(greenwood), np.nan)
        z = stats.norm.ppf(0.5 + level / 2)
        log = np.log(survival)
        if interval == "plain":
            low, high = survival - z * error, survival + z * error
        elif interval == "log":
            low, high = (survival * np.exp(s * z * np.sqrt(greenwood)) for s in (-1, 1))
        else:
            width = z * np.sqrt(greenwood) / log
            low, high = survival ** np.exp(-width), survival ** np.exp(width)
    started = survival < 1
    low, high = (np.where(started, np.clip(v, 0.0, 1.0), 1.0) for v in (low, high))
    return pd.DataFrame(
        {
            "time": times,
            "at_risk": at_risk[seen],
            "events": events[seen],
            "survival": survival,
            "standard_error": error,
            "low": np.where(survival > 0, low, np.nan),
            "high": np.where(survival > 0, high, np.nan),
        }
    )
