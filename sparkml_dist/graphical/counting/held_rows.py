"""Rows in the memory of one process: each distinct one once, counted as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from sparkml_dist.cluster.sums.in_order import sum_in_order
from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.graphical.counting.block_counts import Codes
from sparkml_dist.graphical.counting.distinct_rows import distinct_rows
from sparkml_dist.graphical.counting.frequent_states import completed
from sparkml_dist.graphical.variables import Variables

__all__ = ["HeldRows", "repeated_blocks"]

_ROWS_AT_ONCE = 65_536
# float32 holds whole numbers below this; float64 all that there can be.
_MOST_IN_FLOAT32 = 1 << 24

Counts = npt.NDArray[np.int64]


def repeated_blocks(codes: Codes, weights: npt.NDArray[np.int64]) -> Iterator[Codes]:
    """Yield rows as often as they occur, in blocks of bounded size; one at least."""
    ends = np.cumsum(weights)
    total = int(ends[-1]) if len(ends) else 0
    for start in range(0, max(total, 1), _ROWS_AT_ONCE):
        numbers = np.arange(start, min(start + _ROWS_AT_ONCE, total))
        yield codes[np.searchsorted(ends, numbers, side="right")]


class HeldRows:
    """Rows of categorical variables in memory, the distinct ones with their numbers.

    Parameters
    ----------
    variables : Variables
    codes : ndarray of int, shape (n, d)
        -1 where a value is missing; equal rows are merged.
    weights : ndarray of int64, shape (n,), optional
        How often each row occurs; once by default.

    Attributes
    ----------
    codes : ndarray of int, shape (m, d)
        Distinct rows, in an order that depends on their values alone.
    weights : ndarray of int64, shape (m,)
    """

    def __init__(
        self, variables: Variables, codes: Codes, weights: npt.ArrayLike | None = None
    ) -> None:
        self.variables = variables
        each = np.ones(len(codes), np.int64) if weights is None else np.asarray(weights, np.int64)
        self.codes, self.weights = distinct_rows(codes, each)
        self.rows = int(self.weights.sum())
        #: Number of missing values of each variable, shape (d,).
        self.missing: Counts = self.weights @ (self.codes < 0)
        self._columns = np.ascontiguousarray(self.codes.T)
        self._type = np.float32 if self.rows < _MOST_IN_FLOAT32 else np.float64
        self._shares = self.weights.astype(self._type)
        self._marks: npt.NDArray[Any] | None = None
        self._every = np.arange(len(self.codes) + 1, dtype=np.int32)
        self._rare: dict[int, tuple[int, npt.NDArray[np.bool_]]] = {}

    def held(self) -> HeldRows:
        """Return these rows."""
        return self

    def merged(self) -> HeldRows:
        """Return these rows."""
        return self

    def blocks(self) -> Iterator[Codes]:
        """Return an iterator of all rows, see `repeated_blocks`."""
        return repeated_blocks(self.codes, self.weights)

    def sum(
        self,
        function: Callable[..., Summands],
        parameters: Sequence[Any] = (),
        *,
        description: str = "",
    ) -> Arrays:
        """Return the sums of what a function returns for each block of rows."""
        return sum_in_order(function(block, *parameters) for block in self.blocks())

    def close(self) -> None:
        """Do nothing."""

    # -- counts ---------------------------------------------------------------------------

    def pairs(self) -> Counts:
        """Return the counts of all pairs of states, shape (S, S)."""
        marks = self._indicators()
        found: Counts = (marks.T @ (marks * self._shares[:, None])).astype(np.int64)
        return found

    def table(self, family: Sequence[int]) -> Counts:
        """Return the counts of a family, ascending, with an axis for each variable."""
        shape = [int(self.variables.cards[v]) for v in family]
        cell, known = self._cells(family, slice(None))
        shares = self.weights if known is None else self.weights[known]
        cell = cell if known is None else cell[known]
        size = int(np.prod(shape, dtype=np.int64))
        # Sums of whole numbers below 2**53 are exact in float64.
        return np.bincount(cell, shares, minlength=size).astype(np.int64).reshape(shape)

    def base(
        self, base: tuple[int, ...], known: Callable[[tuple[int, ...]], Counts | None]
    ) -> Counts:
        """Return the counts of a base with all states, shape (cells, S).

        Parameters
        ----------
        base : tuple of int
            Variables, ascending.
        known : callable
            Returns the counts of a smaller base, or None where they are not known.

        Notes
        -----
        Only rows outside the most frequent states of the variables are counted, as far as the
        counts of the base without the variable are known; see `completed`.
        """
        marks = self._indicators()
        shape = [int(self.variables.cards[v]) for v in base]
        size = int(np.prod(shape, dtype=np.int64))
        rests: dict[int, tuple[int, Counts]] = {}
        some: npt.NDArray[np.bool_] | None = None
        for i, v in enumerate(base):
            rest = None if self.missing[v] else known((*base[:i], *base[i + 1 :]))
            if rest is not None:
                mode, outside = self._outside(v)
                rests[i] = (mode, rest)
                some = outside if some is None else some & outside
        starts = self._every
        rows: Any = slice(None)
        if some is not None:
            rows = np.flatnonzero(some)
            starts = np.zeros_like(starts)
            np.cumsum(some, out=starts[1:])
        cell, complete = self._cells(base, rows)
        shares: npt.NDArray[Any] = self._shares[rows]
        if complete is not None:
            cell, shares = np.where(complete, cell, 0), np.where(complete, shares, 0)
        columns = sp.csc_matrix((shares, cell, starts), shape=(size, len(marks)))
        found: Counts = np.asarray(columns @ marks).astype(np.int64)
        completed(found, shape, rests)
        return found

    def _outside(self, v: int) -> tuple[int, npt.NDArray[np.bool_]]:
        """Return the most frequent state of a variable, and which rows are not in it."""
        found = self._rare.get(v)
        if found is None:
            column = self._columns[v]
            # Of distinct rows: it is their number that counting takes time for.
            mode = int(np.bincount(column, minlength=1).argmax()) if len(column) else 0
            found = self._rare[v] = (mode, column != mode)
        return found

    def _cells(
        self, base: Sequence[int], rows: Any
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_] | None]:
        """Return the cell of each row, and which rows have all values; None for all."""
        complete = None
        cell = np.zeros(len(self._columns[0][rows]), np.int64)
        for v in base:
            here = self._columns[v][rows]
            cell *= int(self.variables.cards[v])
            cell += here
            if self.missing[v]:
                complete = here >= 0 if complete is None else complete & (here >= 0)
        return cell, complete

    def _indicators(self) -> npt.NDArray[Any]:
        """Return a column of zeros and ones for each state, shape (m, S)."""
        if self._marks is None:
            offsets = self.variables.offsets
            self._marks = np.zeros((len(self.codes), int(offsets[-1])), self._type)
            rows = np.arange(len(self.codes))
            for v, column in enumerate(self._columns):
                known = rows if not self.missing[v] else np.flatnonzero(column >= 0)
                self._marks[known, offsets[v] + column[known]] = 1
        return self._marks
