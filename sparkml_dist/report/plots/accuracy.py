"""Plots accuracy against the number of members of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import COLOURS, GREY, INK, drawing, finish_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_accuracy_by_members"]

_MOST_MARKS = 40


def plot_accuracy_by_members(
    accuracy: Sequence[float],
    folder: Folder,
    name: str = "accuracy_by_members.png",
    *,
    rows: int | None = None,
) -> str:
    """Write the accuracy of the first 1, 2, … members together as a PNG.

    Parameters
    ----------
    accuracy : sequence of float
        Entry m is the accuracy of the first m + 1 members on held-out rows.
    folder : Folder
        Where to write.
    name : str, default="accuracy_by_members.png"
    rows : int, optional
        Number of held-out rows, for the axis' label.

    Returns
    -------
    str
        Location of the file.
    """
    values = np.asarray(accuracy, dtype=float)
    members = np.arange(1, len(values) + 1)
    held_out = f"accuracy on {rows:,} held-out rows" if rows else "accuracy on held-out rows"
    with drawing(7.2, 4.2, folder, name) as (_, axes):
        axes.plot(members, values, color=COLOURS[0], linewidth=2, **_marks(len(values)))
        axes.axhline(values[-1], color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        # On the side of the curve that has room: below the last value, if it is among the highest.
        below = values[-1] >= values.mean()
        axes.annotate(
            f"all {len(values)}: {values[-1]:.4f}",
            (members[-1], values[-1]),
            xytext=(0, -10 if below else 8),
            textcoords="offset points",
            ha="right",
            va="top" if below else "bottom",
            color=INK,
        )
        axes.margins(y=0.1)
        finish_axes(
            axes, title="Accuracy against number of members", x="members combined", y=held_out
        )
        _whole_ticks(axes, len(values))
    return folder.uri(name)


def _marks(points: int) -> dict[str, Any]:
    return {"marker": "o", "markersize": 4.5} if points <= _MOST_MARKS else {}


def _whole_ticks(axes: Axes, last: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
    axes.set_xlim(1 - 0.02 * last - 0.1, last + 0.02 * last + 0.1)
