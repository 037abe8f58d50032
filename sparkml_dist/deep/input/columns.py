"""Finds features by name: columns of the table, single features, or globs."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.errors import DataError, nearest

__all__ = ["find_columns"]


def find_columns(schema: FeatureSchema, role: str, names: Sequence[str]) -> tuple[int, ...]:
    """Return the positions of the features that the names select, each once, in that order.

    Parameters
    ----------
    schema : FeatureSchema
    role : str
        Name of the input, for messages.
    names : sequence of str
        A column of the table means all of its features; otherwise the name of a feature (such as
        ``pixels[3]``); otherwise a glob over columns.

    Returns
    -------
    tuple of int

    Raises
    ------
    DataError
        ``column_not_found``.
    """
    ranges: dict[str, range] = {}
    at = 0
    for column in schema.columns:
        ranges[column.name] = range(at, at + column.size)
        at += column.size
    features = {name: i for i, name in enumerate(schema.feature_names)}
    found: dict[int, None] = {}
    for name in names:
        if name in ranges:
            chosen = list(ranges[name])
        elif name in features:
            chosen = [features[name]]
        else:
            chosen = [i for c in ranges if fnmatch.fnmatchcase(c, name) for i in ranges[c]]
        if not chosen:
            raise DataError(
                "column_not_found",
                f"There is no feature column {name!r} for the input {role!r}."
                f"{nearest(name, [*ranges, *features])}",
                f"Feature columns are: {', '.join(list(ranges)[:12])}"
                f"{', …' if len(ranges) > 12 else ''}.",
            )
        found.update(dict.fromkeys(chosen))
    return tuple(found)
