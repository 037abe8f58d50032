"""A picture of a graph in layers, drawn with Matplotlib."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.graphical.graph import Parents
from sparkml_dist.graphical.network import Network
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report.plots.figure import COLOURS, GREY, INK, legible

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sparkml_dist.report.plots.shown_figure import ShownFigure

__all__ = ["FORMATS", "draw_network", "layered", "write_picture"]

FORMATS = ("png", "svg", "pdf")
_SWEEPS = 12
_LONGEST_NAME = 18
_STYLE: Any = {
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "svg.hashsalt": "sparkml_dist",
}


def layered(parents: Parents, order: Sequence[int]) -> list[list[int]]:
    """Place variables in layers, parents above children, with few crossings.

    A layer's variables are sorted by the mean position of their neighbours in the layers above and
    below, by turns (Sugiyama, Tagawa and Toda 1981).

    Parameters
    ----------
    parents : tuple of tuple of int
    order : sequence of int
        Parents before children.

    Returns
    -------
    list of list of int
        From the top down, each from left to right.
    """
    depth: dict[int, int] = {}
    for v in order:
        depth[v] = max((depth[p] + 1 for p in parents[v]), default=0)
    children: list[list[int]] = [[] for _ in parents]
    for v, of in enumerate(parents):
        for p in of:
            children[p].append(v)
    for v in reversed(order):  # a root stands right above its first child
        if children[v]:
            depth[v] = min(depth[c] for c in children[v]) - 1
    layers: list[list[int]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for v in order:
        layers[depth[v]].append(v)
    for sweep in range(_SWEEPS):
        place = {v: i / max(1, len(layer)) for layer in layers for i, v in enumerate(layer)}
        near = parents if sweep % 2 == 0 else children
        for layer in layers:
            mean = {
                v: sum(place[w] for w in near[v]) / len(near[v]) if near[v] else place[v]
                for v in layer
            }
            layer.sort(key=lambda v: (mean[v], v))
            place.update({v: i / max(1, len(layer)) for i, v in enumerate(layer)})
    return layers


def draw_network(
    network: Network, *, strengths: Sequence[Mapping[str, Any]] | None = None
) -> ShownFigure:
    """Return a picture of the graph.

    Parameters
    ----------
    network : Network
    strengths : sequence of dict, optional
        Of arcs; see `arc_strengths`.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from sparkml_dist.report.plots.shown_figure import ShownFigure

    layers = layered(network.parents, network.order)
    widest = max((len(layer) for layer in layers), default=1)
    with rc_context(_STYLE):
        size = (min(40.0, 1.2 + 1.5 * widest), min(40.0, 0.8 + 1.1 * len(layers)))
        figure = ShownFigure(figsize=size, facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        _draw(axes, network, layers, widest, _widths(strengths))
    return figure


def write_picture(
    network: Network,
    folder: Folder,
    name: str,
    *,
    strengths: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Write a picture of the graph.

    Parameters
    ----------
    network : Network
    folder : Folder
    name : str
        Of the file, ending in ``.png``, ``.svg`` or ``.pdf``.
    strengths : sequence of dict, optional
        Of arcs; see `arc_strengths`.

    Raises
    ------
    ConfigurationError
        ``unknown_format``.
    """
    from matplotlib import rc_context

    ending = name.rpartition(".")[2].lower()
    if ending not in FORMATS:
        raise ConfigurationError(
            "unknown_format",
            f"The name {name!r} does not tell the format of a picture.",
            f"Let it end in one of {', '.join('.' + f for f in FORMATS)}.",
        )
    figure, content = draw_network(network, strengths=strengths), io.BytesIO()
    with rc_context(_STYLE):
        made: Any = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(ending)
        figure.savefig(content, format=ending, dpi=110, metadata=made)
    folder.write_bytes(name, content.getvalue())


def _widths(strengths: Sequence[Mapping[str, Any]] | None) -> dict[frozenset[str], float]:
    return {frozenset((s["from"], s["to"])): 0.4 + 2.2 * s["strength"] for s in strengths or ()}


def _draw(
    axes: Axes,
    network: Network,
    layers: list[list[int]],
    widest: int,
    widths: Mapping[frozenset[str], float],
) -> None:
    axes.set_axis_off()
    axes.set_xlim(-0.5, widest - 0.5)
    axes.set_ylim(-len(layers) + 0.4, 0.6)
    boxes = {}
    for depth, layer in enumerate(layers):
        gap = widest / max(1, len(layer))
        for i, v in enumerate(layer):
            x = gap * (i + 0.5) - 0.5
            # A slight stagger keeps names of neighbours and long arcs apart.
            y = -depth + (0.14 if len(layer) > 4 and i % 2 else 0.0)
            boxes[v] = axes.text(
                x,
                y,
                legible(network.names[v], _LONGEST_NAME),
                ha="center",
                va="center",
                fontsize=9,
                color=INK,
                zorder=3,
                bbox={
                    "boxstyle": "round,pad=0.35",
                    "facecolor": "#EAF2F8",
                    "edgecolor": COLOURS[0],
                    "linewidth": 1.0,
                },
            )
    depth_of = {v: d for d, layer in enumerate(layers) for v in layer}
    for child, of in enumerate(network.parents):
        for parent in of:
            pair = frozenset((network.names[parent], network.names[child]))
            skipped = depth_of[child] - depth_of[parent] - 1
            bend = 0.0 if skipped == 0 else 0.12 / math.sqrt(skipped) * (-1) ** (parent + child)
            axes.annotate(
                "",
                xy=boxes[child].get_position(),
                xytext=boxes[parent].get_position(),
                arrowprops={
                    "arrowstyle": "-|>",
                    "color": GREY,
                    "linewidth": widths.get(pair, 1.0),
                    "connectionstyle": f"arc3,rad={bend}",
                    "shrinkA": 13,
                    "shrinkB": 13,
                },
                zorder=1,
            )
