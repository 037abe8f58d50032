"""Pictures of a fit from what a model knows of it, without a Spark job."""

from __future__ import annotations

from typing import Any

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.curve import plot_stopping_curve
from sparkml_dist.report.plots.history import plot_history
from sparkml_dist.report.plots.seconds import plot_seconds

__all__ = ["draw_fit"]

_MOST_BARS = 200


def draw_fit(model: Any, summary: dict[str, Any], folder: Folder) -> None:
    """Draw history, stopping curve, seconds of members or ranks, and trials, where there are any.

    Parameters
    ----------
    model : Model
    summary : dict
        Its summary.
    folder : Folder
        Where to write the PNG files.
    """
    history = summary.get("history")
    if isinstance(history, dict) and history.get("loss"):
        plot_history(history, folder, best_epoch=summary.get("best_epoch"))
    if summary.get("curve"):
        plot_stopping_curve(summary["curve"], folder)
    members = summary.get("members")
    if isinstance(members, list) and members and "task_seconds" in members[0]:
        shown = members[:_MOST_BARS]
        fitting = [m["seconds"] for m in shown]
        other = [max(0.0, m["task_seconds"] - m["seconds"]) for m in shown]
        plot_seconds({"fit": fitting, "read and commit": other}, "member", folder)
    ranks = summary.get("ranks")
    if isinstance(ranks, list) and ranks and "train_seconds" in ranks[0]:
        trained = [r["train_seconds"] for r in ranks]
        other = [max(0.0, r["seconds"] - r["train_seconds"]) for r in ranks]
        plot_seconds({"start, rows and end": other, "train": trained}, "rank", folder)
    if hasattr(model, "trialsTable"):
        from sparkml_dist.search.search_plots import plot_search

        plot_search(model, folder)
