"""A sparkline: a small line chart of a score or a loss, for use within text."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from sparkml_dist.html.colours import COLOURS

if TYPE_CHECKING:
    from markupsafe import Markup

__all__ = ["sparkline"]

_WIDTH, _HEIGHT = 180, 36
_DOT = 3


def sparkline(values: Sequence[float | None], marked: int, label: str) -> Markup:
    """Return a line as inline SVG, with a dot at one of its points.

    The result is the same for the same values, and has neither links nor scripts.

    Parameters
    ----------
    values : sequence of float
        None and non-finite values are skipped.
    marked : int
        Index of the value that gets the dot.
    label : str
        Description, for screen readers.
    """
    from markupsafe import Markup
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.patches import Ellipse

    points = [(i, float(v)) for i, v in enumerate(values) if v is not None and math.isfinite(v)]
    if not points:
        return Markup("")
    low, high = min(v for _, v in points), max(v for _, v in points)
    span, last = high - low or 1.0, max(len(values) - 1, 1)
    margin = _DOT + 1
    # Drawn in pixels: matplotlib's SVG uses points of 1/72 inch, and the figure has the same unit.
    drawn = {
        i: (
            margin + (_WIDTH - 2 * margin) * i / last,
            margin + (_HEIGHT - 2 * margin) * ((v - low) / span if high > low else 0.5),
        )
        for i, v in points
    }
    with rc_context({"svg.hashsalt": "sparkml_dist", "path.simplify": False}):
        figure = Figure(figsize=(_WIDTH / 72, _HEIGHT / 72), frameon=False)
        FigureCanvasSVG(figure)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, _WIDTH), ylim=(0, _HEIGHT))
        axes.set_axis_off()
        x, y = zip(*drawn.values(), strict=True)
        axes.plot(x, y, color=COLOURS[0], linewidth=1.5, clip_on=False)
        if marked in drawn:
            dot = Ellipse(drawn[marked], 2 * _DOT, 2 * _DOT, color=COLOURS[5], clip_on=False)
            axes.add_patch(dot).set_zorder(3)
        content = io.BytesIO()
        figure.savefig(content, format="svg", metadata={"Date": None})
    return Markup(_inline(content.getvalue(), label))


def _inline(svg: bytes, label: str) -> str:
    """Return an SVG document as an inline element: only its paths, without ids and definitions."""
    root = ElementTree.fromstring(svg)
    element = ElementTree.Element(
        "svg",
        {
            "width": f"{_WIDTH}",
            "height": f"{_HEIGHT}",
            "viewBox": root.attrib["viewBox"],
            "role": "img",
            "aria-label": label,
            "style": "vertical-align:middle",
        },
    )
    for path in root.iter("{http://www.w3.org/2000/svg}path"):
        shape = {"d": " ".join(path.attrib["d"].split()), "style": path.attrib["style"]}
        ElementTree.SubElement(element, "path", shape)
    return ElementTree.tostring(element, encoding="unicode")
