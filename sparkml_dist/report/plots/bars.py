"""Plots named numbers as horizontal bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import COLOURS, GREY, drawing, finish_axes, legible

__all__ = ["plot_bars"]

_MOST = 40


def plot_bars(
    values: Mapping[str, float],
    folder: Folder,
    name: str,
    *,
    title: str,
    x: str,
    y: str = "",
    marked: Sequence[str] = (),
) -> str:
    """Write named numbers as bars in a PNG, the first at the top; at most 40 of them.

    Parameters
    ----------
    values : mapping of str to float
    folder : Folder
        Where to write.
    name : str
        Name of the file.
    title, x, y : str
        Of the plot and its axes.
    marked : sequence of str
        Names whose bars get the accent colour; all, if none is given.

    Returns
    -------
    str
        Location of the file.
    """
    names = list(values)[:_MOST]
    colours = [COLOURS[0] if not marked or n in marked else GREY for n in names]
    with drawing(7.2, max(1.8, 0.9 + 0.26 * len(names)), folder, name) as (_, axes):
        places = range(len(names))
        axes.barh(places, [values[n] for n in names], 0.7, color=colours)
        axes.set_yticks(list(places), [legible(n, 40) for n in names])
        axes.invert_yaxis()
        finish_axes(axes, title=title, x=x, y=y, grid="x")
    return folder.uri(name)
