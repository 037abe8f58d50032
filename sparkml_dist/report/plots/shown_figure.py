"""A figure that notebooks show, whichever backend of matplotlib they have."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

__all__ = ["ShownFigure"]

#: Pixels of the widest picture: cells are not much wider.
_WIDTH = 840


class ShownFigure(Figure):
    """A figure that is independent of pyplot, and which notebooks show as a PNG.

    Matplotlib's own figures are shown only where a notebook's backend was activated.
    """

    def _repr_png_(self) -> bytes:
        """Return the PNG that notebooks show."""
        content = io.BytesIO()
        self.savefig(content, format="png", dpi=min(100, _WIDTH / self.get_figwidth()))
        return content.getvalue()
