"""Feature importances as a bar chart with names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sparkml_dist.metrics.permutation import PermutationImportance
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import COLOURS, GREY, INK, drawing, finish_axes, legible

__all__ = ["plot_importances"]

_LONGEST_NAME = 32
_AXES = {
    "accuracy": "accuracy lost when shuffled",
    "auc": "area under the ROC curve lost when shuffled",
    "r2": "R² lost when shuffled",
    "log_loss": "log loss (nats) gained when shuffled",
    "rmse": "root mean squared error gained when shuffled",
    "mae": "mean absolute error gained when shuffled",
}


def plot_importances(
    importances: Mapping[str, float] | PermutationImportance,
    folder: Folder,
    name: str = "importances.png",
    *,
    top: int = 20,
) -> str:
    """Write the most important features as a PNG.

    Parameters
    ----------
    importances : mapping of str to float, or PermutationImportance
        A model's ``featureImportances``, or what ``permutationImportance`` returned; the latter
        is drawn with the standard deviation over the repeats.
    folder : Folder
        Where to write.
    name : str, default="importances.png"
    top : int, default=20
        How many features to show.

    Returns
    -------
    str
        Location of the file.
    """
    if isinstance(importances, PermutationImportance):
        names, values = list(importances.features), importances.mean
        spread, axis = importances.std, _AXES[importances.metric]
    else:
        names, values = list(importances), np.array(list(importances.values()), dtype=float)
        spread, axis = np.zeros(len(names)), "share of all importance"
    order = np.argsort(-values, kind="stable")[:top]
    places = np.arange(len(order))
    heading = "Feature importances"
    if len(order) < len(names):
        heading += f": the first {len(order)} of {len(names):,}"
    with drawing(7.2, 1.3 + 0.27 * max(len(order), 5), folder, name) as (figure, axes):
        axes.barh(places, values[order], height=0.7, color=COLOURS[0])
        if spread.any():
            axes.errorbar(
                values[order],
                places,
                xerr=spread[order],
                fmt="none",
                ecolor=INK,
                elinewidth=1.1,
                capsize=2.5,
            )
        finish_axes(axes, title="", x=axis, y="", grid="x")
        # Over the whole figure: long names leave the axes little room.
        figure.suptitle(heading, x=0.02, ha="left", fontsize=12, fontweight="bold")
        axes.set_yticks(
            places, [legible(names[i], _LONGEST_NAME, tail=10) for i in order], fontsize=9
        )
        axes.set_ylim(len(order) - 0.4, -0.6)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        if values[order].min(initial=0.0) < 0:
            axes.axvline(0, color=GREY, linewidth=1)
    return folder.uri(name)
