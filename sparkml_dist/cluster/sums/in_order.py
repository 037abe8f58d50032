"""Sums of arrays in one process, along the same tree as across tasks."""

from __future__ import annotations

from collections.abc import Iterable

from sparkml_dist.cluster.sums.layout import Arrays, Layout, Summands
from sparkml_dist.cluster.sums.summation_tree import Node, SummationTree
from sparkml_dist.errors import ConfigurationError

__all__ = ["OrderedSum", "sum_in_order", "sums_differ"]


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
    found = OrderedSum()
    for position, arrays in enumerate(parts):
        found.add(position, arrays)
    if found.layout is None:
        return {}
    floats, ints = found.tree.total()
    return found.layout.unpack(floats, ints)


class OrderedSum:
    """Adds arrays of one layout along a tree.

    Parameters
    ----------
    begin : int, default=0
        As for `SummationTree`.

    Attributes
    ----------
    tree : SummationTree
    layout : Layout or None
        None until something is added.
    """

    def __init__(self, begin: int = 0) -> None:
        self.tree = SummationTree(begin)
        self.layout: Layout | None = None

    def add(self, position: int, arrays: Summands) -> None:
        """Add the arrays of a leaf; raises as `sum_in_order`."""
        layout, values = Layout.pack(arrays)
        self.layout = self.layout or layout
        if layout != self.layout:
            raise sums_differ(self.layout, layout)
        self.tree.add(Node(position, 1, values))


def sums_differ(common: Layout, layout: Layout) -> ConfigurationError:
    """Return the error of a function whose results cannot be added up."""
    return ConfigurationError(
        "sums_differ",
        f"It has the arrays {layout}, and one before it {common}.",
        "Return arrays of the same names, types and shapes each time; zeros where there is "
        "nothing.",
    )
