"""Plots the reliability diagram: observed frequency against predicted probability."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sparkml_dist.metrics.reliability import Reliability
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import (
    COLOURS,
    GREY,
    drawing,
    finish_axes,
    legible,
    whole_numbers,
)

__all__ = ["plot_reliability"]

_MARKERS = "os^Dv"
_LONGEST_NAME = 32


def plot_reliability(
    curves: Reliability | Mapping[str, Reliability],
    folder: Folder,
    name: str = "reliability.png",
    *,
    title: str = "Reliability",
) -> str:
    """Write a reliability diagram, with the rows per bin below it, as a PNG.

    Parameters
    ----------
    curves : Reliability, or mapping of str to Reliability
        One curve, or several by name, such as before and after calibration. At most five are
        distinguishable.
    folder : Folder
        Where to write.
    name : str, default="reliability.png"
    title : str, default="Reliability"

    Returns
    -------
    str
        Location of the file.
    """
    named = {"model": curves} if isinstance(curves, Reliability) else dict(curves)
    first = next(iter(named.values()))
    what = (
        "the predicted class" if first.of is None else f"class {legible(first.of, _LONGEST_NAME)}"
    )
    with drawing(6.2, 6.8, folder, name) as (figure, whole):
        figure.delaxes(whole)
        upper, lower = figure.subplots(2, 1, height_ratios=(3.4, 1), sharex=True)
        for i, (label, curve) in enumerate(named.items()):
            some = curve.rows > 0
            colour = COLOURS[i % len(COLOURS)]
            upper.plot(
                curve.predicted[some],
                curve.observed[some],
                color=colour,
                linewidth=2,
                marker=_MARKERS[i % len(_MARKERS)],
                markersize=5,
                label=f"{_in_legend(label)}: ECE {curve.ece:.3f}, Brier {curve.brier:.3f}",
            )
            lower.stairs(curve.rows, curve.edges, color=colour, linewidth=1.6, baseline=None)
        exact: dict[str, Any] = {
            "color": GREY,
            "linewidth": 1,
            "linestyle": (0, (4, 3)),
            "zorder": 1,
        }
        upper.plot([0, 1], [0, 1], label="as often as predicted", **exact)
        finish_axes(upper, title=title, x="", y="share that came true")
        upper.set_xlim(-0.02, 1.02)
        upper.set_ylim(-0.02, 1.02)
        upper.set_yticks(np.linspace(0, 1, 6))
        upper.tick_params(labelbottom=False)
        upper.legend(loc="best")
        finish_axes(lower, title="", x=f"predicted probability of {what}", y="rows in bin")
        lower.set_yscale("symlog", linthresh=1)
        whole_numbers(lower.yaxis)
        lower.set_ylim(0, 2.5 * max(curve.rows.max() for curve in named.values()))
    return folder.uri(name)


def _in_legend(label: str) -> str:
    text = legible(label, _LONGEST_NAME)
    return f" {text}" if text.startswith("_") else text  # matplotlib hides labels with "_"
