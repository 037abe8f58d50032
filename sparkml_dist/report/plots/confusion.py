"""Plots the confusion matrix, legibly for 2 classes and for 26."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import GREY, INK, drawing, finish_axes, legible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_confusion"]

Matrix = npt.NDArray[np.floating]

_COLOURS = "Blues"
# Beyond these limits, numbers in the cells and names of all classes would not be legible.
_MOST_NUMBERS = 40
_MOST_ZEROS = 10
_MOST_NAMES = 60
_LONGEST_NAME = 18


def plot_confusion(
    confusion: Matrix,
    classes: Sequence[Any],
    folder: Folder,
    name: str = "confusion_matrix.png",
    *,
    title: str = "Confusion matrix",
) -> str:
    """Write the confusion matrix as a PNG.

    Colours show the share of each true class by predicted class; numbers show rows.

    Parameters
    ----------
    confusion : ndarray of shape (n_classes, n_classes)
        True classes in rows, predicted ones in columns.
    classes : sequence
        The classes, in order.
    folder : Folder
        Where to write.
    name : str, default="confusion_matrix.png"
    title : str, default="Confusion matrix"

    Returns
    -------
    str
        Location of the file.
    """
    counts = np.asarray(confusion, dtype=float)
    k = len(counts)
    totals = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    side = float(np.clip(2.2 + 0.62 * k, 4.6, 12.5))
    right = float(np.trace(counts)) / counts.sum() if counts.sum() else 0.0
    with drawing(side + 1.3, side, folder, name) as (figure, axes):
        image = axes.imshow(share, cmap=_COLOURS, vmin=0, vmax=1, aspect="equal")
        bar = figure.colorbar(image, ax=axes, fraction=0.045, pad=0.02)
        bar.set_label("share of the true class")
        bar.outline.set_visible(False)
        heading = f"{title}\n{right:.1%} of {counts.sum():,.0f} rows right"
        finish_axes(axes, title="", x="predicted class", y="true class", grid="")
        # Centred on the figure: a small matrix is narrower than its heading.
        figure.suptitle(heading, x=0.02, ha="left", fontsize=12, fontweight="bold")
        _name_classes(axes, [legible(c, _LONGEST_NAME) for c in classes])
        for edge in axes.spines.values():
            edge.set_visible(False)
        if k <= _MOST_NUMBERS:
            _write_numbers(axes, counts, share)
    return folder.uri(name)


def _write_numbers(axes: Axes, counts: Matrix, share: Matrix) -> None:
    k = len(counts)
    axes.set_xticks(np.arange(k + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(k + 1) - 0.5, minor=True)
    axes.grid(visible=True, which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="minor", length=0)
    size = float(np.clip(13 - 0.2 * k, 5, 12))
    zeros = k <= _MOST_ZEROS
    for (i, j), count in np.ndenumerate(counts):
        if count or zeros:
            colour = "white" if share[i, j] > 0.55 else INK if count else GREY
            axes.text(
                j,
                i,
                _short_number(float(count)),
                ha="center",
                va="center",
                fontsize=size,
                color=colour,
            )


def _name_classes(axes: Axes, names: list[str]) -> None:
    step = max(1, -(-len(names) // _MOST_NAMES))
    places = list(range(0, len(names), step))
    shown = [names[i] for i in places]
    long = max(map(len, shown)) > (3 if len(shown) > 12 else 8)
    size = 9 if len(shown) > 12 else 10
    axes.set_xticks(places, shown, rotation=90 if long else 0, fontsize=size)
    axes.set_yticks(places, shown, fontsize=size)


def _short_number(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:.3g}M"
    if value >= 1e4:
        return f"{value / 1e3:.3g}k"
    return f"{value:.0f}" if value == round(value) else f"{value:.2g}"
