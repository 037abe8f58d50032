"""Filters on the measures of rules."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sparkml_dist.errors import ConfigurationError, nearest

if TYPE_CHECKING:
    from pyspark.sql import Column

__all__ = ["Filters", "check_filters", "filter_column"]

Filters = dict[str, tuple[float | None, float | None]]


def check_filters(filters: Mapping[str, Any] | None, known: tuple[str, ...]) -> Filters:
    """Return filters as a range for each measure.

    Parameters
    ----------
    filters : mapping, optional
        Maps a measure to ``(least, most)``, both inclusive; either may be None. A single number is
        the least.
    known : tuple of str
        The measures.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    found: Filters = {}
    for name, span in (filters or {}).items():
        if name not in known:
            raise ConfigurationError(
                "invalid_param",
                f"filters names {name!r}, which is not a measure of rules.{nearest(name, known)}",
                f"Measures are: {', '.join(known)}.",
            )
        pair: Any = (span, None) if isinstance(span, int | float) else span
        valid = (
            isinstance(pair, tuple | list)
            and len(pair) == 2
            and all(_is_bound(bound) for bound in pair)
        )
        if not valid or (None not in pair and pair[0] > pair[1]):
            raise ConfigurationError(
                "invalid_param",
                f"The filter of {name!r} must be (least, most), with None for no bound. "
                f"Got {span!r}.",
                "For example filters={'lift': (1.2, None)}.",
            )
        found[name] = (pair[0], pair[1])
    return found


def _is_bound(bound: Any) -> bool:
    if bound is None:
        return True
    number = isinstance(bound, int | float) and not isinstance(bound, bool)
    return number and not math.isnan(bound)


def filter_column(filters: Filters) -> Column:
    """Return the condition that all filters hold."""
    from pyspark.sql import functions as F

    condition = F.lit(True)
    for name, (least, most) in filters.items():
        if least is not None:
            condition = condition & (F.col(name) >= float(least))
        if most is not None:
            condition = condition & (F.col(name) <= float(most))
    return condition
