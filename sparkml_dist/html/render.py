"""HTML from templates, with autoescaping."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from sparkml_dist.html import values
from sparkml_dist.html.colours import COLOURS
from sparkml_dist.html.sparkline import sparkline

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render"]

_OWN = "sparkml_dist.html"


def render(template: str, packages: tuple[str, ...] = (), **shown: Any) -> str:
    """Return a rendered template in ASCII, because a fragment cannot declare its encoding.

    Parameters
    ----------
    template : str
        Name of a file in the folder ``templates`` of one of `packages` or of this package.
    packages : tuple of str
        Packages with templates, the first that has one of a name before the others.
    **shown
        Values for the template.
    """
    text = _environment((*packages, _OWN)).get_template(template).render(shown)
    return text.encode("ascii", "xmlcharrefreplace").decode()


@functools.cache
def _environment(packages: tuple[str, ...]) -> Environment:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in dict.fromkeys(packages)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["colours"] = COLOURS
    environment.filters.update(
        {name: getattr(values, name) for name in values.__all__}, sparkline=sparkline
    )
    return environment
