"""Plots two metrics of the trials of a search against each other."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import COLOURS, INK, drawing, finish_axes
from sparkml_dist.report.plots.score_names import score_name
from sparkml_dist.report.plots.search.records import Trials

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_pareto_front"]

Point = tuple[float, float]
_ROOM = 26  # pixels


def plot_pareto_front(
    trials: Trials,
    metrics: tuple[str, str],
    front: Collection[int],
    folder: Folder,
    name: str = "pareto_front.png",
    *,
    log: bool = False,
) -> str:
    """Write each trial as a point of two metrics, with the trials that none is better than joined.

    The axes show the front and most of the trials; a few that are far off may be outside.

    Parameters
    ----------
    trials : sequence of mapping
        With ``number`` and ``scores``, a dict of metrics; those without both are left out.
    metrics : pair of str
        Of the horizontal and the vertical axis.
    front : collection of int
        Numbers of the trials of the front.
    folder : Folder
        Where to write.
    name : str, default="pareto_front.png"
    log : bool, default=False
        Draw the horizontal axis by logarithm, as suits sizes and times.

    Returns
    -------
    str
        Location of the file.
    """
    points = {t["number"]: at for t in trials if (at := _point(t["scores"], metrics))}
    of_front = sorted((points[n], n) for n in front if n in points)
    others = [at for n, at in points.items() if n not in set(front)]
    with drawing(6.6, 4.8, folder, name) as (_, axes):
        if others:
            axes.scatter(
                [x for x, _ in others],
                [y for _, y in others],
                s=26 if len(others) <= 100 else 9,
                color=COLOURS[4],
                alpha=0.8,
                label="other trials",
                zorder=2,
            )
        if of_front:
            axes.plot(
                *zip(*(at for at, _ in of_front), strict=True),
                "-o",
                color=COLOURS[5],
                linewidth=1.6,
                markersize=6,
                label="none is better in both",
                zorder=3,
            )
        log = log and bool(points) and min(x for x, _ in points.values()) > 0
        if log:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter("")
        if points:
            spans = _spans(list(points.values()), [at for at, _ in of_front], log=log)
            axes.set_xlim(spans[0])
            axes.set_ylim(spans[1])
            _write_numbers(axes, of_front)
        heading = f"{len(of_front)} of {len(points):,} trials are on the front"
        finish_axes(
            axes, title=heading, x=score_name(metrics[0]), y=score_name(metrics[1]), grid="both"
        )
        if points:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2)
    return folder.uri(name)


def _spans(points: list[Point], front: list[Point], *, log: bool) -> list[tuple[float, float]]:
    """Return the limits of both axes: those of the front and of most trials, with a margin."""
    found = []
    for axis in (0, 1):
        scaled = log and axis == 0
        values, kept = (
            np.log([p[axis] for p in of]) if scaled else np.array([p[axis] for p in of])
            for of in (points, front or points)
        )
        low, high = (
            np.quantile(values, [0.04, 0.96]) if len(values) > 20 else (min(values), max(values))
        )
        low, high = min(low, kept.min()), max(high, kept.max())
        margin = 0.07 * (high - low) or 0.05 * abs(high) or 0.5
        ends = (low - margin, high + margin)
        found.append((float(np.exp(ends[0])), float(np.exp(ends[1]))) if scaled else ends)
    return found


def _write_numbers(axes: Axes, front: list[tuple[Point, int]]) -> None:
    """Write the numbers of trials beside their points, where there is room for one."""
    taken: list[Any] = []
    for at, number in front:
        place = axes.transData.transform(at)
        if all(abs(place - other).max() > _ROOM for other in taken):
            taken.append(place)
            axes.annotate(
                str(number),
                at,
                xytext=(5, 5),
                textcoords="offset points",
                fontsize=8,
                color=INK,
                zorder=4,
            )


def _point(scores: Mapping[str, float | None], metrics: tuple[str, str]) -> Point | None:
    x, y = scores.get(metrics[0]), scores.get(metrics[1])
    if x is None or y is None or not (math.isfinite(x) and math.isfinite(y)):
        return None
    return float(x), float(y)
