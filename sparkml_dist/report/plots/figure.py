"""What all plots share: colours, fonts, axes, and writing a PNG to any folder."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sparkml_dist.html.colours import COLOURS
from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "GREY",
    "INK",
    "drawing",
    "figure_of",
    "finish_axes",
    "legible",
    "whole_numbers",
]

INK = "#222222"
GREY = "#8A8A8A"
_DPI = 120

_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    # Dollar signs in names of classes and columns must not be parsed as formulas.
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlepad": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


@contextmanager
def drawing(
    width: float, height: float, folder: Folder, name: str
) -> Iterator[tuple[Figure, Axes]]:
    """Yield a figure and its axes, independent of pyplot's global state; then write the PNG.

    Parameters
    ----------
    width, height : float
        Size in inches.
    folder : Folder
        Where to write.
    name : str
        Name of the PNG file.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from sparkml_dist.report.plots.shown_figure import ShownFigure

    with rc_context(_STYLE), warnings.catch_warnings():
        # A glyph that the font lacks is drawn as a box.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        figure = ShownFigure(figsize=(width, height), layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        yield figure, figure.add_subplot()
        if isinstance(folder, _Sheet):
            folder.figures.append(figure)
            return
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=_DPI, metadata={"Software": "sparkml_dist"})
    folder.write_bytes(name, content.getvalue())


class _Sheet(Folder):
    """Stands for a folder where figures themselves are wanted, and not their files."""

    def __init__(self) -> None:
        super().__init__("/")
        object.__setattr__(self, "figures", [])

    figures: list[Figure]


def figure_of(plot: Callable[[Folder], Any]) -> Figure:
    """Return the figure that a plot function draws, in place of writing it.

    Parameters
    ----------
    plot : callable
        ``plot(folder)`` calls one of the functions of `sparkml_dist.report.plots`.

    Returns
    -------
    matplotlib.figure.Figure
        Not one of pyplot's, so that nothing is shown twice or needs to be closed.
    """
    sheet = _Sheet()
    plot(sheet)
    return sheet.figures[0]


def finish_axes(axes: Axes, *, title: str, x: str, y: str, grid: str = "y") -> None:
    """Set the title and labels of axes, and a light grid along ``"x"``, ``"y"`` or neither."""
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.tick_params(length=3)
    if grid:
        axes.grid(visible=True, axis=grid)  # type: ignore[arg-type]


def whole_numbers(axis: Axis) -> None:
    """Write the ticks of a logarithmic axis as whole numbers instead of powers."""
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axis.set_minor_formatter(NullFormatter())


def legible(name: object, longest: int, *, tail: int = 6) -> str:
    """Return a name from the data as one line of at most `longest` characters.

    Undrawable characters (control characters, lone surrogates) become a blank or "\ufffd".

    Parameters
    ----------
    name : object
    longest : int
        Largest number of characters of the result.
    tail : int, default=6
        Characters kept from the end of a longer name.
    """
    text = f"{name:.12g}" if isinstance(name, float) else str(name)
    drawn = (c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)
    text = "".join(drawn)
    return text if len(text) <= longest else f"{text[: longest - tail - 1]}…{text[-tail:]}"
