"""Sums of arrays in one process, along the same tree as across tasks."""

from __future__ import annotations

from collections.abc import Iterable

from sparkml_dist.cluster.sums.layout import Arrays, Layout, Summands
from sparkml_dist.cluster.sums.summation_tree import Node, SummationTree
from sparkml_dist.errors import ConfigurationError

__all__ = ["sum_in_order", "sums_differ"]


def sum_in_order(parts: Iterable[Summands]) -> Arrays:
    """Add up dicts of arrays of the same names, types and shapes; empty for none.

    Parameters
    ----------
    parts : iterable of dict of array_like
        The blocks of a shard, for instance; ``ceil(log2(n))`` sums are held at a time.

    Returns
    -------
    dict of ndarray
        float64 or int64.

    Raises
    ------
    ConfigurationError
        ``invalid_sums`` or ``sums_differ``.
    DataError
        ``sum_overflow``.

    Examples
    --------
    >>> sum_in_order({"x": [1.0, 2.0], "rows": 1} for _ in range(3))
    {'x': array([3., 6.]), 'rows': array(3)}
    """
    tree = SummationTree()
    common: Layout | None = None
    for position, arrays in enumerate(parts):
        layout, values = Layout.pack(arrays)
        common = common or layout
        if layout != common:
            raise sums_differ(common, layout)
        tree.add(Node(position, 1, values))
    if common is None:
        return {}
    floats, ints = tree.total()
    return common.unpack(floats, ints)


def sums_differ(common: Layout, layout: Layout) -> ConfigurationError:
    """Return the error of a function whose results cannot be added up."""
    return ConfigurationError(
        "sums_differ",
        f"It has the arrays {layout}, and one before it {common}.",
        "Return arrays of the same names, types and shapes each time; zeros where there is "
        "nothing.",
    )
