"""Plots the seconds of each member of an ensemble, or each rank of a gang, as bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import COLOURS, GREY, drawing, finish_axes

__all__ = ["plot_seconds"]

_MOST_GAPS = 120


def plot_seconds(
    stages: Mapping[str, Sequence[float]],
    unit: str,
    folder: Folder,
    name: str | None = None,
) -> str:
    """Write the seconds of each member or rank as stacked bars in a PNG.

    Parameters
    ----------
    stages : mapping of str to sequence of float
        Seconds of every member or rank, for each stage (``"read"``, ``"fit"``, …).
    unit : {"member", "rank"}
        What a bar represents.
    folder : Folder
        Where to write.
    name : str, optional
        ``"seconds_by_<unit>.png"`` by default.

    Returns
    -------
    str
        Location of the file.
    """
    from matplotlib.ticker import MaxNLocator

    count = len(next(iter(stages.values())))
    places = np.arange(count)
    width = 0.8 if count <= _MOST_GAPS else 1.0
    size = float(np.clip(3.6 + 0.28 * count, 5.6, 11))
    name = name or f"seconds_by_{unit}.png"
    with drawing(size, 4.2, folder, name) as (figure, axes):
        bottom = np.zeros(count)
        for (stage, seconds), colour in zip(stages.items(), COLOURS, strict=False):
            values = np.asarray(seconds, dtype=float)
            axes.bar(places, values, width, bottom=bottom, color=colour, label=stage)
            bottom += values
        if count > 1:
            median = float(np.median(bottom))
            label = f"median in all ({median:.3g} s)"
            axes.axhline(median, color=GREY, lw=1, linestyle=(0, (4, 3)), label=label)
        finish_axes(axes, title=f"Seconds of each {unit}", x=unit, y="wall time (s)")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=20, integer=True, min_n_ticks=1))
        axes.set_xlim(-0.6, max(count, 2) - 0.4)
        axes.set_ylim(0, max(float(bottom.max()) * 1.05, 1e-3))
        figure.legend(loc="outside lower left", ncols=max(2, int(size / 2.2)))
    return folder.uri(name)
