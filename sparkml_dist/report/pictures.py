"""Pictures inside a page, which then needs no other file."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkml_dist.errors import ConfigurationError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Picture"]

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """A picture of a report.

    Attributes
    ----------
    title : str
    content : bytes
        A PNG or an SVG.
    note : str
        A sentence below it.
    """

    title: str
    content: bytes
    note: str = ""

    @classmethod
    def of(cls, title: str, figure: Figure, note: str = "") -> Picture:
        """Return the picture of a figure, such as that of ``model.plot()``.

        Parameters
        ----------
        title : str
        figure : matplotlib.figure.Figure
        note : str, optional
        """
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=120)
        return cls(title, content.getvalue(), note)

    def __post_init__(self) -> None:
        if not self._kind():
            raise ConfigurationError(
                "invalid_param",
                f"The picture {self.title!r} must be a PNG or an SVG. "
                f"Got {bytes(self.content[:8])!r}….",
            )

    def _kind(self) -> str:
        if self.content.startswith(_PNG):
            return "png"
        head = self.content[:1024].lstrip(b"\xef\xbb\xbf \r\n\t")
        is_svg = head.startswith(b"<svg") or (head.startswith(b"<?xml") and b"<svg" in head)
        return "svg+xml" if is_svg else ""

    @property
    def source(self) -> str:
        """A data URI; a browser runs no script of an image, and loads nothing for it."""
        return f"data:image/{self._kind()};base64,{base64.b64encode(self.content).decode()}"
