"""Plots the scores of trials by the resource that they were given."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import COLOURS, GREY, INK, drawing, finish_axes, whole_numbers
from sparkml_dist.report.plots.score_names import score_name
from sparkml_dist.report.plots.search.records import Trials

__all__ = ["plot_rungs"]

_SHOWN = 0.95


def plot_rungs(
    trials: Trials,
    metric: str,
    resource: str,
    folder: Folder,
    name: str = "rungs.png",
    *,
    larger_is_better: bool,
) -> str:
    """Write the score of each trial at each of its rungs as a PNG, and how many came so far.

    Parameters
    ----------
    trials : sequence of mapping
        With ``number`` and ``rungs``, dicts with ``resource`` and ``score``.
    metric : str
    resource : str
        What trials are given: ``"shards"``, ``"rows"``, or the name of a parameter.
    folder : Folder
        Where to write.
    name : str, default="rungs.png"
    larger_is_better : bool

    Returns
    -------
    str
        Location of the file.
    """
    curves = []
    for trial in trials:
        points = sorted(
            (r["resource"], r["score"])
            for r in trial["rungs"]
            if r["score"] is not None and math.isfinite(r["score"])
        )
        if points:
            curves.append((trial["number"], points))
    counts: dict[int, int] = {}
    for _, points in curves:
        for given, _ in points:
            counts[given] = counts.get(given, 0) + 1
    steps = sorted(counts)
    sign = 1 if larger_is_better else -1
    # Who came furthest is drawn last, and of these the best.
    curves.sort(key=lambda c: (c[1][-1][0], sign * c[1][-1][1], -c[0]))
    many = len(curves) > 100
    with drawing(7.2, 4.6, folder, name) as (_, axes):
        for number, points in curves:
            best = (number, points) == curves[-1]
            far = points[-1][0] == steps[-1]
            style: dict[str, Any] = {
                "color": COLOURS[5] if best else COLOURS[0] if far else GREY,
                "linewidth": 2.2 if best else 1.6 if far else 0.8,
                "alpha": 1.0 if best else 0.8 if far else 0.35 if many else 0.6,
                "marker": "o",
                "markersize": 6 if best else 2.5 if many and not far else 4,
                "zorder": 4 if best else 3 if far else 2,
            }
            label = f"best: trial {number} ({points[-1][1]:.4g})" if best else None
            axes.plot(*zip(*points, strict=True), label=label, **style)
        if steps:
            _resources(axes, steps)
            axes.set_ylim(*_limits([s for _, p in curves for _, s in p], larger_is_better))
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14))
        for given in steps:
            axes.annotate(
                f"{counts[given]:,}",
                (given, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=9,
                color=INK,
            )
        finish_axes(axes, title="", x=f"{resource} of a trial", y=score_name(metric))
        axes.set_title("Trials at each rung, and their scores", pad=22)
    return folder.uri(name)


def _resources(axes: Any, steps: list[int]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    if len(steps) > 1:
        axes.set_xscale("log")
        room = (steps[-1] / steps[0]) ** 0.05
        axes.set_xlim(steps[0] / room, steps[-1] * room)
    axes.xaxis.set_major_locator(FixedLocator(steps))
    axes.xaxis.set_minor_locator(NullLocator())
    whole_numbers(axes.xaxis)


def _limits(scores: list[float], larger_is_better: bool) -> tuple[float, float]:
    """Return limits that leave out the worst few of many scores."""
    low, high = min(scores), max(scores)
    if len(scores) >= 20:
        worst = float(np.quantile(scores, 1 - _SHOWN if larger_is_better else _SHOWN))
        low, high = (worst, high) if larger_is_better else (low, worst)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return low - margin, high + margin
