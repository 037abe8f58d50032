"""Markdown from templates: every value is escaped, so that it stands as the text that it is."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from sparkml_dist.html import values as html_values

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["escaped", "render_markdown"]

# What begins markup inside a line or a cell of a table.
_MARKS = re.compile(r"([\\`*_\[\]<>|~$])")


def escaped(value: object) -> str:
    """Return a value as one line of Markdown that shows its text and nothing else."""
    text = " ".join(str(value).split())
    return _MARKS.sub(r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;"))


def render_markdown(template: str, package: str = "sparkml_dist.report", **values: Any) -> str:
    """Return a rendered template of Markdown.

    Parameters
    ----------
    template : str
        Name of a file in the folder ``templates`` of `package`.
    package : str
        Package with the template.
    **values
        Values for the template.
    """
    return _environment(package).get_template(template).render(values)


@functools.cache
def _environment(package: str) -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(package),
        # HTML's escaping would show as such: `finalize` escapes for Markdown.
        autoescape=False,
        finalize=escaped,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update({name: getattr(html_values, name) for name in html_values.__all__})
    return environment
