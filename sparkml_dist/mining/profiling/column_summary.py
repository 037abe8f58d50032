"""What is told of a column, from its sketches."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from sparkml_dist.mining.profiling.column_sketch import ColumnSketch

__all__ = ["cumulative", "summarize"]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS = 24
#: Points of the distribution function that leave the executors.
_POINTS = 256
_TINY = np.finfo(np.float64).tiny


def summarize(sketch: ColumnSketch, top: int) -> dict[str, Any]:
    """Return a column's summary as JSON values.

    Parameters
    ----------
    sketch : ColumnSketch
    top : int
        Frequent values to tell.
    """
    plan, moments = sketch.plan, sketch.moments
    count = sketch.rows - sketch.missing
    told: dict[str, Any] = {
        "name": plan.name,
        "type": plan.type,
        "kind": plan.kind,
        "rows": sketch.rows,
        "count": count,
        "missing": sketch.missing,
    }
    if plan.is_counted:
        told |= _counted(sketch, count, top)
    if plan.kind == "text" and sketch.lengths.n:
        lengths = sketch.lengths
        told["lengths"] = {"min": lengths.least, "mean": lengths.mean, "max": lengths.most}
    if plan.is_measured:
        told |= {"nan": sketch.nan, "infinite": sketch.infinite}
    if plan.is_measured and moments.n:
        values, below = _points(sketch)
        last = len(values) - 1
        told |= {
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
            "distribution": _fewer(values, below),
            "histogram": _histogram(values, below, moments.least, moments.most, int(moments.n)),
        }
    return told


def cumulative(
    distribution: dict[str, Any],
    at: np.ndarray[Any, Any],
    *,
    side: Literal["left", "right"] = "right",
) -> np.ndarray[Any, Any]:
    """Return the share of a column's numbers that are not above each of `at`.

    Parameters
    ----------
    distribution : dict
        ``values`` in order, and the shares of numbers ``before`` and not ``below`` them, that is
        not above. It jumps at a value and is a line from one value to the next.
    at : ndarray of shape (n,)
    side : {"right", "left"}
        ``"left"``: the share of numbers that are less.
    """
    values, before, below = (np.array(distribution[k]) for k in ("values", "before", "below"))
    left = np.searchsorted(values, at, side=side) - 1
    inside = (left >= 0) & (left + 1 < len(values))
    share = np.where(left < 0, 0.0, 1.0)
    i = left[inside]
    # In halves: the distance of the extremes may be more than a double can hold.
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
    """Return all kept values, with the share of numbers not above each."""
    values, below = sketch.quantiles.points()
    # Compactions may have lost the extremes, which are known.
    if values[-1] < sketch.moments.most:
        values, below = np.append(values, sketch.moments.most), np.append(below, below[-1])
    if values[0] > sketch.moments.least:
        values, below = np.append(sketch.moments.least, values), np.append(1.0, below)
    return values, below / below[-1]


def _fewer(values: np.ndarray[Any, Any], below: np.ndarray[Any, Any]) -> dict[str, list[float]]:
    """Return what leaves the executors: at most so many of the values, at even ranks."""
    before = np.append(0.0, below[:-1])
    if len(values) > _POINTS:
        # A value that many share is one jump, and stays.
        at = np.searchsorted(below, np.linspace(below[0], 1.0, _POINTS))
        kept = np.unique(np.append(np.minimum(at, len(values) - 1), [0, len(values) - 1]))
        values, before, below = values[kept], before[kept], below[kept]
    return {"values": values.tolist(), "before": before.tolist(), "below": below.tolist()}


def _histogram(
    values: np.ndarray[Any, Any], below: np.ndarray[Any, Any], least: float, most: float, n: int
) -> dict[str, list[float]]:
    """Return equal bins from the least to the greatest number, and about how many are in each."""
    if least == most:
        return {"edges": [least, most], "counts": [n]}
    # In halves, as above.
    edges = 2 * np.linspace(least / 2, most / 2, BINS + 1)
    edges[0], edges[-1] = least, most
    shares = np.append(0.0, below)[np.searchsorted(values, edges[1:], side="right")]
    counts = np.diff(shares, prepend=0.0) * n
    return {"edges": edges.tolist(), "counts": counts.round(1).tolist()}
