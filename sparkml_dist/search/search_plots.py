"""The plots of a fitted search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparkml_dist.metrics.scores import is_better
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import figure_of
from sparkml_dist.report.plots.search.history import plot_search_history
from sparkml_dist.report.plots.search.importance import (
    parameter_importance,
    plot_parameter_importance,
)
from sparkml_dist.report.plots.search.parallel import plot_parallel_coordinates
from sparkml_dist.report.plots.search.pareto import plot_pareto_front
from sparkml_dist.report.plots.search.rungs import plot_rungs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_history_of", "plot_search"]


def plot_history_of(model: Any) -> Figure:
    """Draw the history of a search as a figure.

    Parameters
    ----------
    model : HyperparameterSearchModel
    """
    trials, metric = model.trialsTable(), model.content["metrics"][0]
    larger = is_better(metric, 1.0, 0.0)
    return figure_of(
        lambda folder: plot_search_history(trials, metric, folder, larger_is_better=larger)
    )


def plot_search(model: Any, folder: Folder) -> list[str]:
    """Draw a search; return the locations of the files.

    Parameters
    ----------
    model : HyperparameterSearchModel
    folder : Folder
    """
    trials, metrics = model.trialsTable(), model.content["metrics"]
    metric = metrics[0]
    larger = is_better(metric, 1.0, 0.0)
    files = [plot_search_history(trials, metric, folder, larger_is_better=larger)]
    importance = parameter_importance(trials)
    if importance:
        files.append(plot_parameter_importance(importance, folder))
        files.append(plot_parallel_coordinates(trials, metric, folder, larger_is_better=larger))
    if len(model.content["rungs"]) > 1:
        files.append(
            plot_rungs(trials, metric, model.content["resource"], folder, larger_is_better=larger)
        )
    if len(metrics) > 1:
        files.append(plot_pareto_front(trials, (metrics[0], metrics[1]), model.paretoFront, folder))
    return files
