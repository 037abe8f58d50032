"""Intervals of scores: how far they may be from those on all rows of the same kind."""

from __future__ import annotations

import math

__all__ = ["auc_interval", "mean_interval", "share_interval"]

Interval = tuple[float, float]

#: Quantile of the normal distribution: the intervals hold the true value in 95 of 100 cases.
_Z = 1.959963984540054


def share_interval(share: float, rows: float) -> Interval:
    """Return the 95% interval of a share of independent rows (Wilson 1927).

    Parameters
    ----------
    share : float
        In [0, 1].
    rows : float
        Number of rows; with weights, the effective one, (sum w)^2 / sum w^2.
    """
    shrink = 1 + _Z**2 / rows
    middle = (share + _Z**2 / (2 * rows)) / shrink
    width = _Z / shrink * math.sqrt(share * (1 - share) / rows + _Z**2 / (4 * rows**2))
    return max(0.0, middle - width), min(1.0, middle + width)


def auc_interval(area: float, positive: float, negative: float) -> Interval:
    """Return the 95% interval of the area under a ROC curve (Hanley and McNeil 1982).

    Parameters
    ----------
    area : float
        In [0, 1].
    positive, negative : float
        Rows of the two classes.
    """
    both = area / (2 - area)
    other = 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (positive - 1) * (both - area**2)
    spread += (negative - 1) * (other - area**2)
    width = _Z * math.sqrt(max(0.0, spread) / (positive * negative))
    return max(0.0, area - width), min(1.0, area + width)


def mean_interval(mean: float, mean_square: float, rows: float) -> Interval:
    """Return the 95% interval of the mean of independent values that are not negative.

    Parameters
    ----------
    mean, mean_square : float
        Of the values, and of their squares.
    rows : float
        Number of values, as for `share_interval`.
    """
    width = _Z * math.sqrt(max(0.0, mean_square - mean**2) / rows)
    return max(0.0, mean - width), mean + width
