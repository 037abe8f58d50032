"""What all plots share: colours, type, axes, and writing a PNG to any folder."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sparkml_dist.persistence.filesystem import Folder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "GREY", "INK", "drawing", "finish_axes"]

# Okabe and Ito (2008), "Color Universal Design": told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
INK = "#222222"
GREY = "#8A8A8A"
_DPI = 120

_STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
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
    """Give a figure and its axes to draw on, apart from pyplot's global state, then write it.

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
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        yield figure, figure.add_subplot()
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=_DPI, metadata={"Software": "sparkml_dist"})
    folder.write_bytes(name, content.getvalue())


def finish_axes(axes: Axes, *, title: str, x: str, y: str, grid: str = "y") -> None:
    """Give axes their title and labels, and a quiet grid along ``"x"``, ``"y"`` or neither."""
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.tick_params(length=3)
    if grid:
        axes.grid(visible=True, axis=grid)  # type: ignore[arg-type]
