"""The picture of a fitted model, of what is stored in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.bars import plot_bars
from sparkml_dist.report.plots.curve import plot_stopping_curve
from sparkml_dist.report.plots.figure import figure_of
from sparkml_dist.report.plots.history import plot_history
from sparkml_dist.report.plots.seconds import plot_seconds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["HasPlot"]

_MOST_BARS = 200


class HasPlot:
    """Mixin of the fitted models of shards that have a picture."""

    def plot(self: Any) -> Figure:
        """Draw how the fit went, of what is stored in the model; no Spark job is run.

        A network or a boosted model shows its loss by epoch or round (several networks the mean
        over them), an ensemble with a stopping metric its score by members, others the importances,
        once they are known, or the seconds of their members; a vote of models their weights, and a
        calibrated model what the model inside shows.

        Returns
        -------
        matplotlib.figure.Figure
            Which notebooks show.

        Raises
        ------
        ConfigurationError
            ``not_kept`` for a model that stores none of these.
        """
        draw = self._picture()
        if draw is None:
            raise ConfigurationError(
                "not_kept",
                f"This {type(self).__name__} stores nothing that can be drawn.",
                "Draw its scores on rows: scoreCurves, reliability, plot_confusion.",
            )
        return figure_of(draw)

    def _picture(self: Any) -> Callable[[Folder], Any] | None:
        """Return a function that draws the picture into a folder; None, if there is none."""
        return _picture(self)


def _picture(model: Any) -> Callable[[Folder], Any] | None:
    summary: Mapping[str, Any] = model.summary
    if history := summary.get("history"):
        best, unit = summary.get("best_epoch"), "epoch"
        if "rounds" in summary:
            best, unit = summary.get("best_round"), "round"
        return lambda folder: plot_history(history, folder, best_epoch=best, unit=unit)
    if curve := summary.get("curve"):
        return lambda folder: plot_stopping_curve(curve, folder)
    if found := vars(model).get("_importances"):
        ranked = dict(sorted(found.items(), key=lambda item: -item[1])[:20])
        return lambda folder: plot_bars(
            ranked, folder, "importances.png", title="Importances of features", x="importance"
        )
    members = summary.get("members")
    records = members if isinstance(members, list) else []
    if histories := [r["history"] for r in records if isinstance(r, Mapping) and r.get("history")]:
        return lambda folder: plot_history(_mean_history(histories), folder)
    timed = [r for r in records if isinstance(r, Mapping) and "task_seconds" in r][:_MOST_BARS]
    if timed:
        fitting = [m["seconds"] for m in timed]
        other = [max(0.0, m["task_seconds"] - m["seconds"]) for m in timed]
        stages = {"fit": fitting, "read and commit": other}
        return lambda folder: plot_seconds(stages, "member", folder)
    return None


def _mean_history(histories: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    """Return the means over networks of what all of them recorded, up to the shortest training."""
    names = [n for n in histories[0] if all(n in h for h in histories)]
    found = {}
    for name in names:
        rows = zip(*(h[name] for h in histories), strict=False)
        found[name] = [float(sum(row) / len(row)) for row in rows]
    return found
