"""HTML from templates, with autoescaping."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.report import html_values
from sparkml_dist.report.plots.figure import COLOURS
from sparkml_dist.report.plots.sparkline import sparkline

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render", "write_page"]


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
    text = _environment(package).get_template(template).render(values)
    return text.encode("ascii", "xmlcharrefreplace").decode()


@functools.cache
def _environment(package: str) -> Environment:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    packages = dict.fromkeys((package, "sparkml_dist.report"))
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["colours"] = COLOURS
    environment.filters.update(
        {name: getattr(html_values, name) for name in html_values.__all__}, sparkline=sparkline
    )
    return environment


def write_page(path: str, content: str) -> None:
    """Write a page or another text to a local path or a URI, in UTF-8.

    Raises
    ------
    StorageError
        If the page cannot be written.
    """
    head, _, name = Folder.at(path).location.rpartition("/")
    folder = Folder.at(head or "/")
    folder.create()
    folder.write_bytes(name, content.encode())
