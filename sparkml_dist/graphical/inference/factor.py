"""Factors: tables over some variables, for each of several cases at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import DataError

__all__ = ["MOST_FACTOR_CELLS", "Factor", "elimination_order", "product"]

#: Most cells of a factor of one case.
MOST_FACTOR_CELLS = 1 << 24

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Factor:
    """A table over variables.

    Attributes
    ----------
    over : tuple of int
        Variables, one axis each.
    values : ndarray of shape (n, …)
        The first axis is that of the cases: n, or 1 for a table that all cases share.
    """

    over: tuple[int, ...]
    values: Floats

    def aligned(self, over: Sequence[int]) -> Floats:
        """Return the values with an axis, of length 1 where it lacks one, for each variable."""
        present = [v for v in over if v in self.over]
        moved = self.values.transpose([0, *(1 + self.over.index(v) for v in present)])
        sizes = iter(moved.shape[1:])
        return moved.reshape(
            [moved.shape[0], *(next(sizes) if v in self.over else 1 for v in over)]
        )

    def without(self, v: int, *, most: bool = False) -> Factor:
        """Return the sum, or the greatest value, over a variable."""
        axis = 1 + self.over.index(v)
        values = self.values.max(axis=axis) if most else self.values.sum(axis=axis)
        return Factor(tuple(w for w in self.over if w != v), values)

    def given(self, v: int, state: int) -> Factor:
        """Return the factor of a variable's state."""
        if v not in self.over:
            return self
        axis = 1 + self.over.index(v)
        values = np.asarray(self.values.take(state, axis=axis), np.float64)
        return Factor(tuple(w for w in self.over if w != v), values)


def product(factors: Sequence[Factor], cards: npt.NDArray[np.int64]) -> Factor:
    """Return the product of factors over all of their variables.

    Raises
    ------
    DataError
        ``too_many_cells``.
    """
    over = tuple(sorted({v for f in factors for v in f.over}))
    check_cells(over, cards)
    found: Floats = np.ones([1, *(1 for _ in over)])
    for factor in factors:
        found = found * factor.aligned(over)
    return Factor(over, found)


def check_cells(over: Sequence[int], cards: npt.NDArray[np.int64]) -> None:
    """Raise where a table would be too large."""
    cells = 1
    for v in over:
        cells *= int(cards[v])
    if cells > MOST_FACTOR_CELLS:
        raise DataError(
            "too_many_cells",
            f"Inference would need a table of {len(over)} variables with {cells:,} cells, more "
            f"than {MOST_FACTOR_CELLS:,}.",
            "Learn a network with fewer parents, or ask for fewer variables at once.",
        )


def elimination_order(
    scopes: Iterable[Sequence[int]], eliminate: Iterable[int], cards: npt.NDArray[np.int64]
) -> list[int]:
    """Return an order in which to eliminate variables, by the fewest added neighbours.

    Of equal ones, that with the smallest table comes first.

    Parameters
    ----------
    scopes : iterable of sequence of int
        Variables of each factor.
    eliminate : iterable of int
    cards : ndarray of int64
    """
    beside: dict[int, set[int]] = {}
    for scope in scopes:
        for v in scope:
            beside.setdefault(v, set()).update(w for w in scope if w != v)
    left = set(eliminate)
    order: list[int] = []

    def cost(v: int) -> tuple[int, float, int]:
        near = beside.get(v, set())
        fill = sum(1 for a in near for b in near if a < b and b not in beside[a])
        return fill, float(sum(np.log(cards[w]) for w in near)), v

    while left:
        v = min(left, key=cost)
        order.append(v)
        left.remove(v)
        near = beside.pop(v, set())
        for a in near:
            beside[a] |= near - {a}
            beside[a].discard(v)
    return order
