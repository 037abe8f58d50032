"""Plots trials as lines through an axis for each parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import COLOURS, GREY, INK, drawing, legible
from sparkml_dist.report.plots.score_names import score_name
from sparkml_dist.report.plots.search.records import (
    Trials,
    is_number,
    parameter_names,
    parameter_values,
    scores_of,
    with_scores,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_parallel_coordinates"]

_MOST_AXES = 9
_MOST_CHOICES = 12
_LONGEST_NAME = 16
_TICKS = 5
# Numbers are spread by their logarithm if the ratio of the ends is greater, and the median is in
# the lowest part of the range.
_LOG_FROM = 50.0
_LOG_BELOW = 0.2
_MOST_GOOD = 50
_LONGEST_LABEL = 17
LIGHT = "#C9C9C9"
BEST = (COLOURS[5], 2.4, 3)
_ABSENT = "–"


def plot_parallel_coordinates(
    trials: Trials,
    metric: str,
    folder: Folder,
    name: str = "parallel_coordinates.png",
    *,
    larger_is_better: bool,
    most_axes: int = _MOST_AXES,
) -> str:
    """Write each trial as a line through an axis for each parameter, and one for the score.

    The best tenth of the trials stands out. Numbers that most trials have small are spread by their
    logarithm; a score that is far below the others is put at the axis' lower end, which is always
    the worse one.

    Parameters
    ----------
    trials : sequence of mapping
        With ``params`` and ``score``; those without a score are left out.
    metric : str
    folder : Folder
        Where to write.
    name : str, default="parallel_coordinates.png"
    larger_is_better : bool
    most_axes : int, default=9
        Largest number of parameters; the first ones are drawn.

    Returns
    -------
    str
        Location of the file.
    """
    from matplotlib.collections import LineCollection

    able = with_scores(trials)
    names = parameter_names(able)
    shown = names[:most_axes]
    scales = [_scale(parameter_values(able, n)) for n in shown]
    scores = scores_of(able) * (1 if larger_is_better else -1)
    score = _score_scale(scores_of(able), larger_is_better)
    heights = np.array([places for places, _ in [*scales, score]]).reshape(len(shown) + 1, -1)
    order = np.argsort(scores, kind="stable")
    good = min(_MOST_GOOD, max(1, len(able) // 10)) if len(able) > 1 else 0
    many = len(able) > 100
    with drawing(min(max(6.0, 1.9 * (len(shown) + 1)), 16.0), 4.8, folder, name) as (_, axes):
        for which, label, style in (
            (order[: -good - 1], "others", (LIGHT, 0.6 if many else 1.0, 1)),
            (order[-good - 1 : -1], f"next best {good}", (COLOURS[4], 1.4, 2)),
            (order[-1:], f"best: trial {able[order[-1]]['number']}" if len(able) else "", BEST),
        ):
            if len(which):
                colour, width, above = style
                lines = [list(enumerate(heights[:, i])) for i in which]
                axes.add_collection(
                    LineCollection(
                        lines, colors=colour, linewidths=width, zorder=above, label=label
                    )
                )
        for at, (label, (_, ticks)) in enumerate(
            zip([*shown, score_name(metric)], [*scales, score], strict=True)
        ):
            _draw_axis(axes, at, legible(label, _LONGEST_LABEL), ticks, last=at == len(shown))
        axes.set_xlim(-0.1, len(shown) + 0.35)
        axes.set_ylim(-0.04, 1.04)
        axes.set_axis_off()
        left_out = len(names) - len(shown)
        heading = f"{len(able):,} trials by parameters and score"
        if left_out:
            heading += f" (without {left_out} parameters)"
        axes.set_title(heading, pad=34)
        if able:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=3)
    return folder.uri(name)


def _draw_axis(
    axes: Axes, at: int, label: str, ticks: list[tuple[float, str]], *, last: bool
) -> None:
    axes.plot([at, at], [0, 1], color=INK if last else GREY, linewidth=1.2, zorder=3)
    for height, text in ticks:
        axes.plot([at, at + 0.025], [height, height], color=GREY, linewidth=1, zorder=3)
        axes.annotate(
            text,
            (at, height),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=INK,
            zorder=4,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
        )
    axes.annotate(
        label,
        (at, 1),
        xytext=(0, 12),
        textcoords="offset points",
        ha="left" if at == 0 else "center",
        fontsize=9,
        fontweight="bold",
        color=INK,
    )


def _score_scale(
    scores: npt.NDArray[np.float64], larger_is_better: bool
) -> tuple[list[float], list[tuple[float, str]]]:
    """Return the heights of scores, and ticks; the best is on top."""
    signed = scores if larger_is_better else -scores
    if not len(signed):
        return [], []
    top = float(signed.max())
    bottom = float(np.quantile(signed, 0.1 if len(signed) >= 20 else 0.0))
    span = top - bottom
    if span <= 0:
        return [0.5] * len(scores), [(0.5, f"{scores[0]:.4g}")]
    heights = np.clip((signed - bottom) / span, 0.0, 1.0).tolist()
    marked = np.linspace(bottom, top, _TICKS)
    shown = marked if larger_is_better else -marked
    ticks = [((m - bottom) / span, f"{v:.3g}") for m, v in zip(marked, shown, strict=True)]
    if signed.min() < bottom:
        ticks[0] = (0.0, f"{ticks[0][1]} or worse")
    return heights, ticks


def _scale(
    values: list[Any],
) -> tuple[list[float], list[tuple[float, str]]]:
    """Return the height of each value in [0, 1], and the heights and texts of ticks."""
    numbers = sorted({float(v) for v in values if is_number(v)})
    others = sorted({_text(v) for v in values if not is_number(v)})
    if len(numbers) < 2 or len(others) > 1:
        return _choices([_text(v) for v in values])
    least, most = numbers[0], numbers[-1]
    median = float(np.median([float(v) for v in values if is_number(v)]))
    log = least > 0 and most / least > _LOG_FROM and (median - least) < _LOG_BELOW * (most - least)
    # A value that is no number, such as None, has a place below all numbers.
    bottom = 0.14 if others else 0.0

    def height(x: float) -> float:
        a, b, c = np.log([x, least, most]) if log else (x, least, most)
        return bottom + (1 - bottom) * float((a - b) / (c - b))

    if len(numbers) <= _TICKS:
        marked = numbers
    elif log:
        marked = np.geomspace(least, most, _TICKS).tolist()
    else:
        marked = np.linspace(least, most, _TICKS).tolist()
    ticks = [(height(x), f"{x:.3g}") for x in marked]
    ticks += [(0.0, text) for text in others]
    return [height(float(v)) if is_number(v) else 0.0 for v in values], ticks


def _choices(texts: list[str]) -> tuple[list[float], list[tuple[float, str]]]:
    kinds = sorted(set(texts))
    if len(kinds) == 1:
        return [0.5] * len(texts), [(0.5, kinds[0])]
    place = {kind: i / (len(kinds) - 1) for i, kind in enumerate(kinds)}
    step = -(-len(kinds) // _MOST_CHOICES)
    return [place[t] for t in texts], [(place[k], k) for k in kinds[::step]]


def _text(value: Any) -> str:
    return _ABSENT if value is None else legible(value, _LONGEST_NAME)
