"""The summary of a column, from its sketches."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from sparkml_dist.mining.profiling.column_sketch import ColumnSketch

__all__ = ["cumulative", "summarize"]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS = 24
#: Points of the distribution function that are sent to the driver.
_POINTS = 256
_TINY = np.finfo(np.float64).tiny


def summarize(sketch: ColumnSketch, top: int) -> dict[str, Any]:
    """Return a column's summary as JSON values.

    Parameters
    ----------
    sketch : ColumnSketch
    top : int
        Number of frequent values to list.
    """
    plan, moments = sketch.plan, sketch.moments
    count = sketch.rows - sketch.missing
    summary: dict[str, Any] = {
        "name": plan.name,
        "type": plan.type,
        "kind": plan.kind,
        "rows": sketch.rows,
        "count": count,
        "missing": sketch.missing,
    }
    if plan.is_counted:
        summary |= _counted(sketch, count, top)
    if plan.kind == "text" and sketch.lengths.n:
        lengths = sketch.lengths
        summary["lengths"] = {"min": lengths.least, "mean": lengths.mean, "max": lengths.most}
    if plan.is_measured:
        summary |= {"nan": sketch.nan, "infinite": sketch.infinite}
    if plan.is_measured and moments.n:
        values, below = _points(sketch)
        last = len(values) - 1
        summary |= {
            "min": moments.least,
            "max": moments.most,
            "mean": moments.mean if math.isfinite(moments.mean) else None,
            "sd": moments.sd,
            "skewness": moments.skewness,
            "kurtosis": moments.kurtosis,
            "zeros": int(moments.zeros),
            "quantiles": {
                str(q): float(values[min(int(np.searchsorted(below, q)), last)]) for q in QUANTILES
            },
            "distribution": _thinned(values, below),
            "histogram": _histogram(values, below, moments.least, moments.most, int(moments.n)),
        }
    return summary


def cumulative(
    distribution: dict[str, Any],
    at: np.ndarray[Any, Any],
    *,
    side: Literal["left", "right"] = "right",
) -> np.ndarray[Any, Any]:
    """Return the share of a column's numbers that are at most each of `at`.

    Parameters
    ----------
    distribution : dict
        ``values`` in order, and the shares of numbers less than (``before``) and at most
        (``below``) each. It jumps at a value and is linear from one value to the next.
    at : ndarray of shape (n,)
    side : {"right", "left"}
        ``"left"``: the share of lesser numbers.
    """
    values, before, below = (np.array(distribution[k]) for k in ("values", "before", "below"))
    left = np.searchsorted(values, at, side=side) - 1
    inside = (left >= 0) & (left + 1 < len(values))
    share = np.where(left < 0, 0.0, 1.0)
    i = left[inside]
    # Computed on halved values: the distance of the extremes may overflow a double.
    way = (at[inside] / 2 - values[i] / 2) / np.maximum(values[i + 1] / 2 - values[i] / 2, _TINY)
    share[inside] = below[i] + np.minimum(way, 1.0) * (before[i + 1] - below[i])
    return share


def _counted(sketch: ColumnSketch, count: int, top: int) -> dict[str, Any]:
    frequent = sketch.frequent
    exact = frequent.error == 0
    distinct = len(frequent) if exact else round(sketch.distinct.estimate())
    return {
        "distinct": min(distinct, count),
        "distinct_is_exact": exact,
        "frequent": [
            {"value": value, "count": n, "count_at_most": n + frequent.error}
            for value, n in frequent.top(top)
        ],
    }


def _points(sketch: ColumnSketch) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return all values of the sketch, and the share of numbers at most each."""
    values, below = sketch.quantiles.points()
    # The sketch may have dropped the extremes, which are known.
    if values[-1] < sketch.moments.most:
        values, below = np.append(values, sketch.moments.most), np.append(below, below[-1])
    if values[0] > sketch.moments.least:
        values, below = np.append(sketch.moments.least, values), np.append(1.0, below)
    return values, below / below[-1]


def _thinned(values: np.ndarray[Any, Any], below: np.ndarray[Any, Any]) -> dict[str, list[float]]:
    """Return up to `_POINTS` of the values, at even ranks."""
    before = np.append(0.0, below[:-1])
    if len(values) > _POINTS:
        # A frequent value is a jump, which is kept.
        at = np.searchsorted(below, np.linspace(below[0], 1.0, _POINTS))
        kept = np.unique(np.append(np.minimum(at, len(values) - 1), [0, len(values) - 1]))
        values, before, below = values[kept], before[kept], below[kept]
    return {"values": values.tolist(), "before": before.tolist(), "below": below.tolist()}


def _histogram(
    values: np.ndarray[Any, Any], below: np.ndarray[Any, Any], least: float, most: float, n: int
) -> dict[str, list[float]]:
    """Return equal bins from the least to the greatest number, with approximate counts."""
    if least == most:
        return {"edges": [least, most], "counts": [n]}
    # Halved as above.
    edges = 2 * np.linspace(least / 2, most / 2, BINS + 1)
    edges[0], edges[-1] = least, most
    shares = np.append(0.0, below)[np.searchsorted(values, edges[1:], side="right")]
    counts = np.diff(shares, prepend=0.0) * n
    return {"edges": edges.tolist(), "counts": counts.round(1).tolist()}
