"""Plots estimates of several things by several methods, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import COLOURS, GREY, drawing, finish_axes, legible

__all__ = ["plot_estimates"]

_MOST = 40


def plot_estimates(
    estimates: Mapping[str, Mapping[str, tuple[float, float, float]]],
    folder: Folder,
    name: str = "estimates.png",
    *,
    reference: float | None = None,
    title: str = "Estimates and intervals",
    x: str = "value",
) -> str:
    """Write estimates with intervals as a PNG, the first at the top; at most 40 of them.

    Parameters
    ----------
    estimates : mapping of str to mapping of str to (float, float, float)
        By what is estimated, which gives the colour, and by method: estimate, lower and upper end.
    folder : Folder
        Where to write.
    name : str, default="estimates.png"
    reference : float, optional
        Drawn as a line.
    title, x : str
        Of the plot and its axis.

    Returns
    -------
    str
        Location of the file.
    """
    rows = [
        (f"{of} {method}".strip(), COLOURS[i % len(COLOURS)], *values)
        for i, (of, by_method) in enumerate(estimates.items())
        for method, values in by_method.items()
    ][:_MOST]
    places = np.arange(len(rows))
    with drawing(6.8, max(2.2, 1.4 + 0.3 * len(rows)), folder, name) as (_, axes):
        for place, (_, colour, value, low, high) in zip(places, rows, strict=True):
            axes.hlines(place, low, high, color=colour, lw=2)
            axes.plot(value, place, "o", color=colour, ms=5)
        if reference is not None:
            axes.axvline(reference, color=GREY, lw=1, linestyle=(0, (4, 3)))
        axes.set_yticks(places, [legible(row[0], 40) for row in rows])
        axes.invert_yaxis()
        finish_axes(axes, title=title, x=x, y="", grid="x")
    return folder.uri(name)
