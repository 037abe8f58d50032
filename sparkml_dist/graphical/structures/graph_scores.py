"""What a search over graphs needs to know of their scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from sparkml_dist.graphical.graph import Parents

__all__ = ["GraphScores"]


class GraphScores(Protocol):
    """Scores of families, some of which may be guessed until they are counted.

    Attributes
    ----------
    evaluated : int
        Number of families that were scored.
    wanted : dict of tuple of int to None
        What `count_wanted` is to find out: sets of variables. While it is empty, no score that was
        asked for was a guess.
    """

    evaluated: int
    wanted: dict[tuple[int, ...], None]

    @property
    def names(self) -> Sequence[str]:
        """Names of the variables."""
        ...

    def family(self, child: int, parents: tuple[int, ...]) -> float:
        """Return the score of a family; if it is a guess, there is an entry in `wanted`."""
        ...

    def additions(self, child: int, parents: tuple[int, ...]) -> npt.NDArray[np.float64]:
        """Return the score of the child with each variable as one more parent, shape (d,).

        -inf where there is no such family. If they are guesses, there is an entry in `wanted`.
        """
        ...

    def count_wanted(self) -> None:
        """Count what is in `wanted`, or the first of it, and empty it."""
        ...

    def total(self, parents: Parents) -> float:
        """Return the score of a network."""
        ...
