"""Plots partial dependence: a small panel for each feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.metrics.feature_dependence import FeatureDependence, PartialDependence
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import COLOURS, GREY, drawing, finish_axes, legible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_partial_dependence"]

_LONGEST_NAME = 30
_LONGEST_CATEGORY = 14
_IN_A_ROW = 3
#: Panels of one picture.
_MOST_PANELS = 24
#: Letters of a legend that are as wide as a panel, and those that the line beside a name takes.
_LETTERS, _LINE = 44, 7


def plot_partial_dependence(
    found: PartialDependence,
    folder: Folder,
    name: str = "partial_dependence.png",
    *,
    of: Sequence[Any] | None = None,
    title: str = "Partial dependence",
) -> str:
    """Write the mean prediction against each feature as a PNG of small multiples.

    All panels have the same vertical axis. Ticks below the curves are the deciles of a feature.

    Parameters
    ----------
    found : PartialDependence
        Of up to 24 features; further ones are left out.
    folder : Folder
        Where to write.
    name : str, default="partial_dependence.png"
    of : sequence, optional
        Classes to draw. By default the second class of two; of more than seven, the seven whose
        probability changes most.
    title : str, default="Partial dependence"

    Returns
    -------
    str
        Location of the file.

    Raises
    ------
    ConfigurationError
        ``unknown_class``.
    """
    panels = [f for f in found.features if len(f.values)][:_MOST_PANELS]
    shown = _classes(found, panels, of)
    columns = max(1, min(_IN_A_ROW, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    with drawing(0.6 + 3.0 * columns, 0.9 + 2.5 * rows, folder, name) as (figure, whole):
        figure.delaxes(whole)
        grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            figure.delaxes(axes)
        for i, (axes, feature) in enumerate(zip(grid.flat, panels, strict=False)):
            _draw(axes, feature, shown)
            what = "mean probability" if found.classes else f"mean {legible(found.label, 20)}"
            finish_axes(
                axes,
                title="",
                x=legible(feature.feature, _LONGEST_NAME),
                y="" if i % columns else what,
            )
        names = [f"class {legible(c, 24)}" for c in (found.classes[k] for k in shown)]
        figure.suptitle(
            f"{title}: {names[0]}" if len(names) == 1 else title,
            x=0.01,
            ha="left",
            fontsize=12,
            fontweight="bold",
        )
        if len(names) > 1:
            handles = grid.flat[0].lines[: len(names)]
            # More names in a row than are as wide as the panels would be cut off.
            fitting = int(columns * _LETTERS / (max(map(len, names)) + _LINE))
            ncols = max(1, min(4, len(names), fitting))
            figure.legend(handles, names, loc="outside lower center", ncols=ncols)
    return folder.uri(name)


def _classes(
    found: PartialDependence, panels: Sequence[FeatureDependence], of: Sequence[Any] | None
) -> list[int]:
    """Return the positions of the classes to draw; of a regression, none."""
    classes = list(found.classes)
    if of is not None:
        for value in of:
            if value not in classes:
                raise ConfigurationError(
                    "unknown_class",
                    f"of must name classes of the model. Got {value!r}.",
                    f"Classes are: {', '.join(map(repr, classes[:12]))}.",
                )
        return [classes.index(value) for value in of][: len(COLOURS)]
    if len(classes) == 2:
        return [1]
    if len(classes) <= len(COLOURS):
        return list(range(len(classes)))
    change = np.max([np.ptp(f.average, axis=0) for f in panels], axis=0)
    return sorted(np.argsort(-change, kind="stable")[: len(COLOURS)].tolist())


def _draw(axes: Axes, feature: FeatureDependence, shown: Sequence[int]) -> None:
    average = feature.average
    curves = [average] if average.ndim == 1 else [average[:, k] for k in shown]
    for i, curve in enumerate(curves):
        colour = COLOURS[i % len(COLOURS)]
        if feature.is_categorical:
            at = np.arange(len(curve))
            axes.plot(at, curve, color=colour, marker="o", markersize=5, linestyle="none")
        else:
            mark: dict[str, Any] = {"marker": "o", "markersize": 5} if len(curve) < 3 else {}
            axes.plot(_floats(feature.values), curve, color=colour, linewidth=2, **mark)
    if feature.is_categorical:
        names = [legible(value, _LONGEST_CATEGORY) for value in feature.values]
        turned = sum(map(len, names)) > 24
        axes.set_xticks(
            np.arange(len(names)),
            names,
            rotation=90 if turned else 0,
            fontsize=8 if turned else None,
        )
        axes.margins(x=0.08)
    elif feature.deciles:
        low, high = axes.get_xlim()
        inside = [d for d in feature.deciles if low <= d <= high]
        axes.plot(
            inside,
            np.full(len(inside), 0.03),
            color=GREY,
            marker="|",
            markersize=8,
            linestyle="none",
            transform=axes.get_xaxis_transform(),
        )
        axes.set_xlim(low, high)


def _floats(values: tuple[Any, ...]) -> npt.NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)
