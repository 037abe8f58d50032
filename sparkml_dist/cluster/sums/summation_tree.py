"""A fixed binary tree along which partial sums are added, whichever process holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import DataError

__all__ = ["Node", "SummationTree", "sum_overflow"]


@dataclass
class Node:
    """The sum of all leaves at positions from `start` to `start + size`, exclusive.

    Attributes
    ----------
    start, size : int
        `size` is a power of two that divides `start`. A leaf has the size 1.
    values : tuple of ndarray
        float64 or int64; the tree changes them in place.
    """

    start: int
    size: int
    values: tuple[npt.NDArray[Any], ...]


class SummationTree:
    """Adds nodes, given in the order of their positions, as soon as both halves are known.

    The sum of a node is that of its left half plus that of its right half, and a half without
    leaves does not count. So the sum of all depends on the leaves and their positions alone: not
    on which of them another process has already added up. Of n leaves
    never more than ``2 * log2(n)`` partial sums are held, and ``log2(n)`` from position 0 on.

    Parameters
    ----------
    begin : int, default=0
        Leaves before this position may lie elsewhere.

    Notes
    -----
    This is pairwise summation: the error of a sum of n numbers is at most
    ``ceil(log2(n)) * eps / 2 * sum(abs(x))`` to first order (Higham 2002, "Accuracy and stability
    of numerical algorithms", section 4.2), against ``n - 1`` for one after the other. Sums of
    integers are exact.

    Examples
    --------
    >>> tree = SummationTree()
    >>> for position, x in enumerate([1.0, 2.0, 3.0]):
    ...     tree.add(Node(position, 1, (np.array([x]),)))
    >>> tree.total()
    (array([6.]),)
    """

    def __init__(self, begin: int = 0) -> None:
        self._begin = begin
        #: Partial sums that wait for their other halves, in the order of their positions.
        self.nodes: list[Node] = []

    def add(self, node: Node) -> None:
        """Add a node.

        Raises
        ------
        ValueError
            When its leaves or later ones were already added.
        DataError
            ``sum_overflow``.
        """
        if self.nodes and node.start < self.nodes[-1].start + self.nodes[-1].size:
            raise ValueError(f"position {node.start} comes twice or too late")
        self._close(node.start)
        self.nodes.append(node)
        self._join()

    def total(self) -> tuple[npt.NDArray[Any], ...]:
        """Return the sum of all that was added; there must be a leaf."""
        while len(self.nodes) > 1:
            last = self.nodes.pop()
            _add(self.nodes[-1], last)
        return self.nodes[0].values

    def _close(self, position: int) -> None:
        """Let nodes stand for their parents where no other half can come before `position`."""
        while self.nodes:
            last = self.nodes[-1]
            width = 2 * last.size
            start = last.start - last.start % width
            if start < self._begin or start + width > position:
                return
            last.start, last.size = start, width
            self._join()

    def _join(self) -> None:
        while len(self.nodes) > 1:
            left, right = self.nodes[-2:]
            if left.size != right.size or right.start - left.start != left.size:
                return
            if left.start % (2 * left.size):
                return
            self.nodes.pop()
            _add(left, right)
            left.size *= 2


def _add(left: Node, right: Node) -> None:
    for into, values in zip(left.values, right.values, strict=True):
        if into.dtype == np.int64:
            sums = into + values
            # Two numbers of one sign whose sum has the other.
            if (((into ^ sums) & (values ^ sums)) < 0).any():
                raise sum_overflow()
            into[...] = sums
        else:
            with np.errstate(over="ignore", invalid="ignore"):
                into += values


def sum_overflow() -> DataError:
    """Return the error of a sum of integers that int64 cannot hold."""
    return DataError(
        "sum_overflow", "A sum of integers is greater than int64 can hold.", "Add up floats."
    )
