"""What a search over graphs needs to know of their scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sparkml_dist.graphical.graph import Parents

__all__ = ["GraphScores"]


class GraphScores(Protocol):
    """Scores of families, some of which may not be known before they are asked for.

    Attributes
    ----------
    evaluated : int
        Number of families that were scored.
    wanted : set of tuple of int
        What `count_wanted` is to find out: sets of variables.
    """

    evaluated: int
    wanted: set[tuple[int, ...]]

    @property
    def names(self) -> Sequence[str]:
        """Names of the variables."""
        ...

    def family(self, child: int, parents: tuple[int, ...]) -> float | None:
        """Return the score of a family; None while it is not known."""
        ...

    def additions(self, child: int, parents: tuple[int, ...]) -> npt.NDArray[np.float64] | None:
        """Return the score of the child with each variable as one more parent, shape (d,).

        -inf where there is no such family; None, and an entry in `wanted`, while it is not known.
        """
        ...

    def count_wanted(self) -> None:
        """Find out what is in `wanted`, and empty it."""
        ...

    def total(self, parents: Parents) -> float:
        """Return the score of a network."""
        ...
