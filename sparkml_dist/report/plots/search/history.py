"""Plots the score of each trial of a search, and the best so far."""

from __future__ import annotations

import numpy as np

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import COLOURS, GREY, INK, drawing, finish_axes
from sparkml_dist.report.plots.score_names import score_name
from sparkml_dist.report.plots.search.records import Trials, scores_of, with_scores

__all__ = ["plot_search_history"]

# Bad settings must not squeeze all others into a line.
_SHOWN = 0.9


def plot_search_history(
    trials: Trials,
    metric: str,
    folder: Folder,
    name: str = "search_history.png",
    *,
    larger_is_better: bool,
) -> str:
    """Write the score of each trial, and the best so far, as a PNG.

    The axis shows the better 90% of the trials; those beyond are marked at its edge.

    Parameters
    ----------
    trials : sequence of mapping
        With ``number`` and ``score``; those without a score are marked as failed.
    metric : str
    folder : Folder
        Where to write.
    name : str, default="search_history.png"
    larger_is_better : bool

    Returns
    -------
    str
        Location of the file.
    """
    from matplotlib.ticker import MaxNLocator

    able = with_scores(trials)
    failed = sorted({t["number"] for t in trials} - {t["number"] for t in able})
    numbers, scores = np.array([t["number"] for t in able]), scores_of(able)
    best = (np.maximum if larger_is_better else np.minimum).accumulate(scores)
    low, high = _limits(scores, larger_is_better)
    beyond = (scores < low) | (scores > high)
    size = 26 if len(trials) <= 100 else 9
    with drawing(7.2, 4.2, folder, name) as (_, axes):
        axes.set_ylim(low, high)
        if len(able):
            axes.scatter(
                numbers[~beyond],
                scores[~beyond],
                s=size,
                color=COLOURS[4],
                label="trial",
                zorder=2,
                clip_on=False,
            )
            axes.step(
                numbers,
                best,
                where="post",
                color=COLOURS[0],
                linewidth=2,
                label="best so far",
                zorder=3,
            )
            at = int(np.flatnonzero(scores == best[-1])[0])
            axes.plot([numbers[at]], [best[-1]], "o", color=COLOURS[5], markersize=8, zorder=4)
        edge = low if larger_is_better else high
        for where, mark, colour, label in (
            (numbers[beyond], "v" if larger_is_better else "^", GREY, "worse than is shown"),
            (failed, "x", COLOURS[5], "failed"),
        ):
            if len(where):
                axes.scatter(
                    where,
                    [edge] * len(where),
                    s=30 if len(where) <= 40 else 8,
                    marker=mark,
                    color=colour,
                    linewidth=1.2,
                    label=f"{label} ({len(where)})",
                    zorder=3,
                    clip_on=False,
                )
        heading = "No trial has a score"
        if len(able):
            heading = f"Best of {len(trials):,} trials: {best[-1]:.4g} (trial {numbers[at]})"
        finish_axes(axes, title=heading, x="trial", y=score_name(metric))
        last = max((t["number"] for t in trials), default=0)
        axes.set_xlim(-0.02 * last - 0.3, last + 0.02 * last + 0.3)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True, min_n_ticks=1))
        handles, labels = axes.get_legend_handles_labels()
        if handles:
            legend = axes.legend(
                handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=4
            )
            for text in legend.get_texts():
                text.set_color(INK)
    return folder.uri(name)


def _limits(scores: np.ndarray, larger_is_better: bool) -> tuple[float, float]:
    """Return the least and the greatest score that are shown, with a margin."""
    if not len(scores):
        return 0.0, 1.0
    signed = scores if larger_is_better else -scores
    top = float(signed.max())
    bottom = float(np.quantile(signed, 1 - _SHOWN)) if len(scores) >= 10 else float(signed.min())
    margin = 0.06 * (top - bottom) or 0.05 * abs(top) or 0.5
    bottom = bottom - margin if bottom > signed.min() else float(signed.min()) - margin
    ends = bottom, top + margin
    return ends if larger_is_better else (-ends[1], -ends[0])
