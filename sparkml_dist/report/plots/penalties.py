"""The held-out loss of each penalty that was tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import COLOURS, GREY, drawing, finish_axes

__all__ = ["plot_penalties"]


def plot_penalties(
    path: Sequence[dict[str, Any]], best: float, folder: Folder, name: str = "penalties.png"
) -> None:
    """Draw held-out losses by penalty, on a logarithmic axis, and mark the best one.

    Parameters
    ----------
    path : sequence of dict
        ``alpha`` and ``loss`` of each penalty.
    best : float
        The penalty that was taken.
    folder : Folder
    name : str, default="penalties.png"
    """
    steps = sorted(path, key=lambda step: step["alpha"])
    with drawing(6.4, 3.6, folder, name) as (_, axes):
        axes.axvline(best, color=GREY, linestyle="--", linewidth=1)
        alphas, losses = [s["alpha"] for s in steps], [s["loss"] for s in steps]
        axes.plot(alphas, losses, color=COLOURS[0], marker="o")
        axes.set_xscale("log")
        finish_axes(axes, title="Loss on held-out rows", x="penalty", y="loss")
