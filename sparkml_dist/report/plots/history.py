"""Plots a network's loss and metrics by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import COLOURS, GREY, INK, drawing, finish_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_history"]

_MOST_MARKS = 40
_MOST_PANELS = 3


def plot_history(
    history: Mapping[str, Sequence[Any]],
    folder: Folder,
    name: str = "metrics_by_epoch.png",
    *,
    best_epoch: int | None = None,
    held_out: Mapping[str, float | None] | None = None,
    unit: str = "epoch",
) -> str:
    """Write the loss and the first metrics of each epoch as a PNG, with training and validation.

    Parameters
    ----------
    history : mapping of str to sequence of float
        Keras' history: ``loss``, metrics, and the same with the prefix ``val_``. Entries that are
        not a number in every epoch are ignored.
    folder : Folder
        Where to write.
    name : str, default="metrics_by_epoch.png"
    best_epoch : int, optional
        Index, from 0, of the epoch whose weights were kept.
    held_out : mapping of str to float, optional
        The final network's metrics on held-out rows.
    unit : str, default="epoch"
        What the values are counted by.

    Returns
    -------
    str
        Location of the file.
    """
    curves = {
        k: [float(x) for x in v]
        for k, v in history.items()
        if v and all(isinstance(x, int | float) for x in v)
    }
    names = [k for k in curves if not k.startswith("val_")]
    names = sorted(names, key=lambda k: k != "loss")[:_MOST_PANELS]
    with drawing(max(5.2, 4.8 * len(names)), 4.0, folder, name) as (figure, whole):
        figure.delaxes(whole)
        panels = figure.subplots(1, max(1, len(names)), squeeze=False)[0]
        for axes, metric in zip(panels, names, strict=False):
            _panel(axes, curves, metric, best_epoch, (held_out or {}).get(metric), unit)
    return folder.uri(name)


def _panel(
    axes: Axes,
    curves: Mapping[str, list[float]],
    metric: str,
    best_epoch: int | None,
    held_out: float | None,
    unit: str,
) -> None:
    last = 1
    for key, label, style, colour in (
        (metric, "training", "-", COLOURS[0]),
        (f"val_{metric}", "validation", "--", COLOURS[1]),
    ):
        values = curves.get(key, [])
        if not values:
            continue
        last = max(last, len(values))
        few = len(values) <= _MOST_MARKS
        marks: dict[str, Any] = {"marker": "o", "markersize": 4.5} if few else {}
        epochs = np.arange(1, len(values) + 1)
        axes.plot(epochs, values, style, color=colour, linewidth=2, label=label, **marks)
    if best_epoch is not None:
        axes.axvline(best_epoch + 1, color=GREY, linewidth=1, zorder=1)
        axes.annotate(
            f"kept: {best_epoch + 1}",
            (best_epoch + 1, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(3, 0),
            textcoords="offset points",
            va="bottom",
            fontsize=9,
            color=INK,
        )
    if held_out is not None:
        label = f"held-out rows, at the end ({held_out:.4g})"
        axes.axhline(held_out, color=COLOURS[2], lw=1.5, linestyle=(0, (1, 2)), label=label)
    words = metric.replace("_", " ")
    finish_axes(axes, title=f"{words[0].upper()}{words[1:]} by {unit}", x=unit, y=words)
    axes.set_xlim(1 - 0.02 * last - 0.1, last + 0.02 * last + 0.1)
    _whole_ticks(axes)
    axes.legend(loc="best", frameon=True, framealpha=1.0, edgecolor="none")


def _whole_ticks(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
