"""Plots ROC and precision-recall curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.metrics.score_curve import ScoreCurve, ScoreCurves
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import COLOURS, GREY, drawing, finish_axes, legible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_precision_recall", "plot_roc"]

_LONGEST_NAME = 24
#: Points that are drawn; the eye sees no more.
_MOST_POINTS = 1_000


def plot_roc(
    curves: ScoreCurves | Mapping[str, ScoreCurve],
    folder: Folder,
    name: str = "roc_curve.png",
    *,
    title: str = "ROC curve",
) -> str:
    """Write ROC curves as a PNG.

    Parameters
    ----------
    curves : ScoreCurves, or mapping of str to ScoreCurve
        Of classes, or of models by name. At most seven are drawn: of more classes, those with the
        smallest areas.
    folder : Folder
        Where to write.
    name : str, default="roc_curve.png"
    title : str, default="ROC curve"

    Returns
    -------
    str
        Location of the file.
    """
    shown, note = _shown(curves, "roc_auc")
    with drawing(6.2, 5.6, folder, name) as (_, axes):
        for i, (label, curve) in enumerate(shown):
            x, y = _thinned(curve.false_positive_rate, curve.recall)
            axes.plot(
                np.append(0.0, x), np.append(0.0, y), **_line(i, label, "area", curve.roc_auc)
            )
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        _finish(axes, title, "false positive rate", "true positive rate (recall)", note)
        if shown:
            axes.legend(loc="lower right")
    return folder.uri(name)


def plot_precision_recall(
    curves: ScoreCurves | Mapping[str, ScoreCurve],
    folder: Folder,
    name: str = "precision_recall.png",
    *,
    title: str = "Precision and recall",
) -> str:
    """Write precision-recall curves as a PNG; dashed lines are the shares of the classes.

    Parameters
    ----------
    curves : ScoreCurves, or mapping of str to ScoreCurve
        As for `plot_roc`; of more than seven classes, those with the smallest average precision.
    folder : Folder
        Where to write.
    name : str, default="precision_recall.png"
    title : str, default="Precision and recall"

    Returns
    -------
    str
        Location of the file.
    """
    shown, note = _shown(curves, "average_precision")
    with drawing(6.2, 5.6, folder, name) as (_, axes):
        shares = set()
        for i, (label, curve) in enumerate(shown):
            x, y = _thinned(curve.recall, curve.precision)
            line = _line(i, label, "average", curve.average_precision)
            axes.plot(x, y, **line, drawstyle="steps-pre")
            total = curve.positives + curve.negatives
            shares.add((round(curve.positives / total, 4) if total else 0.0, line["color"]))
        for share, colour in sorted(shares):
            colour = colour if len(shown) > 1 else GREY
            axes.axhline(share, color=colour, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        _finish(axes, title, "recall", "precision", note)
        if shown:
            axes.legend(loc="lower left")
    return folder.uri(name)


def _shown(
    curves: ScoreCurves | Mapping[str, ScoreCurve], score: str
) -> tuple[list[tuple[str, ScoreCurve]], str]:
    """Return names and curves to draw, and a note where some are left out."""
    if isinstance(curves, ScoreCurves):
        pairs = [(f"class {legible(c.of, _LONGEST_NAME)}", c) for c in curves]
    else:
        pairs = [(legible(label, _LONGEST_NAME), c) for label, c in curves.items()]
    known = [(label, curve) for label, curve in pairs if getattr(curve, score) is not None]
    if len(known) <= len(COLOURS):
        return known, ""
    worst = sorted(known, key=lambda pair: getattr(pair[1], score))[: len(COLOURS)]
    return worst, f"The {len(worst)} worst of {len(known)} classes"


def _line(i: int, label: str, score: str, value: float | None) -> dict[str, Any]:
    number = "undefined" if value is None else f"{value:.3f}"
    return {"color": COLOURS[i], "linewidth": 2, "label": f" {label}: {score} {number}"}


def _thinned(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return points that are far enough from each other to be seen, and the last."""
    if len(x) <= _MOST_POINTS:
        return x, y
    cell = np.round(x * _MOST_POINTS / 2).astype(int) * _MOST_POINTS
    cell += np.round(np.nan_to_num(y) * _MOST_POINTS / 2).astype(int)
    kept = np.flatnonzero(np.diff(cell, append=-1))
    return x[kept], y[kept]


def _finish(axes: Axes, title: str, x: str, y: str, note: str) -> None:
    finish_axes(axes, title=title, x=x, y=y)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    if note:
        axes.set_title(note, loc="right", fontsize=9, fontweight="normal", color=GREY)
