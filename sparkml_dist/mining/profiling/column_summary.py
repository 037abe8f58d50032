"""What is told of a column, from its sketches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sparkml_dist.mining.profiling.column_sketch import ColumnSketch

__all__ = ["cumulative", "summarize"]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
BINS = 24
#: Points of the distribution function that leave the executors.
_POINTS = 256


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
        fine = _points(sketch)
        values, below = _fewer(*fine)
        told |= {
            "min": moments.least,
            "max": moments.most,
            "mean": moments.mean if math.isfinite(moments.mean) else None,
            "sd": moments.sd,
            "skewness": moments.skewness,
            "kurtosis": moments.kurtosis,
            "zeros": int(moments.zeros),
            "quantiles": {
                str(q): float(fine[0][min(int(np.searchsorted(fine[1], q)), len(fine[0]) - 1)])
                for q in QUANTILES
            },
            "distribution": {"values": values.tolist(), "below": below.tolist()},
            "histogram": _histogram(values, below, moments.least, moments.most, int(moments.n)),
        }
    return told


def cumulative(distribution: dict[str, Any], at: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the share of a column's numbers that are not above each of `at`."""
    values, below = np.array(distribution["values"]), np.array(distribution["below"])
    if len(values) < _POINTS:  # all distinct values that were kept: it is a staircase
        return np.append(0.0, below)[np.searchsorted(values, at, side="right")]
    return np.interp(at, values, below, left=0.0, right=1.0)


def _counted(sketch: ColumnSketch, count: int, top: int) -> dict[str, Any]:
    frequent = sketch.frequent
    exact = frequent.error == 0
    distinct = len(frequent.counts) if exact else round(sketch.distinct.estimate())
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


def _fewer(
    values: np.ndarray[Any, Any], below: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return at most so many of the values and shares: what leaves the executors."""
    if len(values) > _POINTS:
        # At even ranks; a value that many share is one step, and stays.
        at = np.searchsorted(below, np.linspace(below[0], 1.0, _POINTS))
        kept = np.unique(np.append(np.minimum(at, len(values) - 1), [0, len(values) - 1]))
        values, below = values[kept], below[kept]
    return values, below


def _histogram(
    values: np.ndarray[Any, Any], below: np.ndarray[Any, Any], least: float, most: float, n: int
) -> dict[str, list[float]]:
    """Return equal bins from the least to the greatest number, and about how many are in each."""
    if least == most:
        return {"edges": [least, most], "counts": [n]}
    # In halves: the distance of the extremes may be more than a double can hold.
    edges = 2 * np.linspace(least / 2, most / 2, BINS + 1)
    edges[0], edges[-1] = least, most
    distribution = {"values": values, "below": below}
    shares = np.diff(cumulative(distribution, edges[1:]), prepend=0.0)
    return {"edges": edges.tolist(), "counts": (np.maximum(shares, 0.0) * n).round(1).tolist()}
