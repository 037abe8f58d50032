"""Plots the stopping curve of an anytime ensemble: its score by number of members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import COLOURS, GREY, INK, drawing, finish_axes
from sparkml_dist.report.plots.score_names import score_name

__all__ = ["plot_stopping_curve"]

_MOST_MARKS = 40


def plot_stopping_curve(
    curve: Mapping[str, Any], folder: Folder, name: str = "stopping_curve.png"
) -> str:
    """Write the held-out score of the first 1, 2, … members as a PNG, with the best marked.

    Parameters
    ----------
    curve : mapping
        A model's ``summary["curve"]``: ``metric``, ``rows``, ``scores``, ``best`` (a number of
        members) and ``stopped`` (whether the fit stopped before the last member).
    folder : Folder
        Where to write.
    name : str, default="stopping_curve.png"

    Returns
    -------
    str
        Location of the file.
    """
    scores = np.asarray(curve["scores"], dtype=float)
    members, best = np.arange(1, len(scores) + 1), int(curve["best"])
    ending = f"stopped at {len(scores)}" if curve["stopped"] else f"all {len(scores)} fitted"
    heading = f"Score against number of members: {ending}"
    label = score_name(curve["metric"])
    marks: Any = {"marker": "o", "markersize": 4} if len(scores) <= _MOST_MARKS else {}
    with drawing(7.2, 4.2, folder, name) as (_, axes):
        axes.plot(members, scores, color=COLOURS[0], linewidth=2, **marks)
        if np.isfinite(scores[best - 1]):
            value = float(scores[best - 1])
            axes.axhline(value, color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
            axes.plot([best], [value], "o", color=COLOURS[5], markersize=8, zorder=3)
            # Above the best score (or below, if small is good) the text cannot hide the curve.
            greatest = value >= np.nanmean(scores)
            axes.annotate(
                f"best with {best}: {value:.4f}",
                (best, value),
                xytext=(0, 8 if greatest else -8),
                textcoords="offset points",
                ha="right" if best > len(scores) / 2 else "left",
                va="bottom" if greatest else "top",
                color=INK,
            )
            axes.margins(y=0.14)
        finish_axes(
            axes, title=heading, x="members combined", y=f"{label}, {curve['rows']:,} held-out rows"
        )
        _whole_ticks(axes, len(scores))
    return folder.uri(name)


def _whole_ticks(axes: Any, last: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    axes.set_xlim(1 - 0.02 * last - 0.1, last + 0.02 * last + 0.1)
