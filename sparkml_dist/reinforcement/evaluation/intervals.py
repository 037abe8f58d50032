"""Confidence intervals from bootstrap replicates, or from the influence of episodes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["INTERVALS", "interval", "standard_error"]

Floats = npt.NDArray[np.float64]

#: How an interval is made.
INTERVALS = ("bca", "percentile", "student", "normal")


def standard_error(influence: Floats, episodes: float) -> float:
    """Return the standard error of an estimate from sums of powers of its influences.

    Parameters
    ----------
    influence : ndarray, shape (3,)
        Sums over episodes of the influence, its square and its cube.
    episodes : float
        Sum of the weights of episodes.
    """
    if episodes <= 1:
        return float("nan")
    mean = influence[0] / episodes
    spread = max(0.0, influence[1] / episodes - mean * mean)
    return float(np.sqrt(spread / (episodes - 1)))


def interval(
    kind: str,
    estimate: float,
    replicates: Floats,
    influence: Floats,
    episodes: float,
    level: float,
) -> tuple[float, float]:
    """Return the ends of a confidence interval.

    Parameters
    ----------
    kind : {"bca", "percentile", "student", "normal"}
        Quantiles of the replicates, corrected for bias and skewness (Efron 1987, "Better bootstrap
        confidence intervals") or not; or the estimate plus and minus quantiles of Student's t
        or the normal distribution times the standard error.
    estimate : float
    replicates : ndarray, shape (b,)
    influence, episodes
        As for `standard_error`.
    level : float
        Share of logs whose intervals are to contain the value.
    """
    from scipy.stats import norm, t

    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if kind in ("student", "normal"):
        error = standard_error(influence, episodes)
        q = norm.ppf(tails) if kind == "normal" else t.ppf(tails, max(1.0, episodes - 1))
        low, high = estimate + q * error
        return float(low), float(high)
    drawn = np.sort(replicates[np.isfinite(replicates)])
    if not len(drawn) or not np.isfinite(estimate):
        return float("nan"), float("nan")
    if kind == "bca" and influence[1] > 0:
        # Ties count by half: replicates of estimates that take few values.
        below = (np.sum(drawn < estimate) + 0.5 * np.sum(drawn == estimate)) / len(drawn)
        bias = norm.ppf(np.clip(below, 0.5 / len(drawn), 1 - 0.5 / len(drawn)))
        skew = influence[2] / (6.0 * influence[1] ** 1.5)
        z = bias + norm.ppf(tails)
        tails = norm.cdf(bias + z / np.maximum(1e-9, 1 - skew * z))
    # A share p of the distribution lies below the p (b + 1)-th of b draws.
    low, high = np.quantile(drawn, tails, method="weibull")
    return float(low), float(high)
