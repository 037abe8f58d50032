"""Pages and fragments of reports, from templates with autoescaping."""

from __future__ import annotations

from typing import Any

from sparkml_dist.html import render as html
from sparkml_dist.html.page import Page
from sparkml_dist.persistence.filesystem import Folder

__all__ = ["finished_page", "render", "write_page"]


def render(template: str, package: str = "sparkml_dist.report", **values: Any) -> str:
    """Return a rendered template in ASCII, because a fragment cannot declare its encoding.

    Parameters
    ----------
    template : str
        Name of a file in the folder ``templates`` of `package` or of `sparkml_dist.report`.
    package : str
        Package with the template.
    **values
        Values for the template.
    """
    return html.render(template, (package, "sparkml_dist.report"), **values)


def finished_page(content: str, path: str | None = None) -> Page:
    """Return a page that shows itself in one line; write it to `path` if given.

    Raises
    ------
    StorageError
        If the page cannot be written.
    """
    if path is not None:
        write_page(path, content)
    return Page(content, path)


def write_page(path: str, content: str) -> None:
    """Write a page or another text to a local path or a URI, in UTF-8.

    Raises
    ------
    StorageError
        If the page cannot be written.
    """
    place = Folder.at(path)
    place.parent().create()
    place.parent().write_bytes(place.name, content.encode())
