"""Rows as codes of states, wherever they lie: what can be summed over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sparkml_dist.cluster.sums.in_order import sum_in_order
from sparkml_dist.cluster.sums.layout import Arrays, Summands
from sparkml_dist.graphical.counting.held_rows import HeldRows
from sparkml_dist.graphical.variables import Variables

__all__ = ["CodedRows", "LocalRows"]

#: ``function(codes, *parameters)`` returns arrays to be added up over blocks; codes of shape (n, d)
#: are -1 where a value is missing.
BlockFunction = Callable[..., Summands]


class CodedRows(Protocol):
    """Rows of categorical variables, which are only ever seen block by block.

    Attributes
    ----------
    variables : Variables
    """

    @property
    def variables(self) -> Variables:
        """The variables, in the order of the codes."""
        ...

    def sum(
        self, function: BlockFunction, parameters: Sequence[Any] = (), *, description: str
    ) -> Arrays:
        """Return the sums of what a function returns for each block of rows."""
        ...

    def held(self) -> HeldRows | None:
        """Return the rows themselves where they are in this process's memory."""
        ...

    def merged(self) -> CodedRows:
        """Return rows whose equal ones were merged across blocks; to be closed."""
        ...

    def close(self) -> None:
        """Free what is kept for further passes."""
        ...


class LocalRows:
    """Rows in the memory of this process, counted by blocks as those elsewhere are.

    Parameters
    ----------
    variables : Variables
    codes : ndarray of int, shape (n, d)
        -1 where a value is missing.
    blocks : int, default=1
        Number of blocks that are added up.
    """

    def __init__(self, variables: Variables, codes: npt.ArrayLike, blocks: int = 1) -> None:
        self.variables = variables
        self.codes = np.asarray(codes)
        self.blocks = blocks
        #: Number of passes so far.
        self.passes = 0

    def sum(
        self,
        function: BlockFunction,
        parameters: Sequence[Any] = (),
        *,
        description: str = "",
    ) -> Arrays:
        """Return the sums of what a function returns for each block."""
        self.passes += 1
        parts = np.array_split(self.codes, self.blocks)
        return sum_in_order(function(part, *parameters) for part in parts)

    def held(self) -> None:
        """Return None: the rows are counted in passes."""

    def merged(self) -> HeldRows:
        """Return the distinct rows."""
        return HeldRows(self.variables, self.codes)

    def close(self) -> None:
        """Do nothing."""
