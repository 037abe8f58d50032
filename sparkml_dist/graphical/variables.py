"""The variables of a network: names, and lists of states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.categories import canonical
from sparkml_dist.errors import ConfigurationError, DataError, nearest

__all__ = ["Variable", "Variables"]


@dataclass(frozen=True)
class Variable:
    """A categorical variable.

    Attributes
    ----------
    name : str
    states : tuple of str
        In the order of their codes.
    """

    name: str
    states: tuple[str, ...]

    def code(self, state: object) -> int:
        """Return the position of a state.

        Raises
        ------
        DataError
            ``unknown_state``.
        """
        found = str(state)
        for text in (found, canonical(found)):
            if text in self.states:
                return self.states.index(text)
        raise DataError(
            "unknown_state",
            f"{self.name!r} has no state {found!r}.{nearest(found, self.states)}",
            f"Its states are: {', '.join(self.states[:12])}.",
        )


@dataclass(frozen=True)
class Variables:
    """The variables of a network, in the order of their columns.

    Attributes
    ----------
    items : tuple of Variable
    """

    items: tuple[Variable, ...]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Variable:
        return self.items[index]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        return tuple(v.name for v in self.items)

    @cached_property
    def cards(self) -> npt.NDArray[np.int64]:
        """Number of states of each variable, shape (d,)."""
        return np.array([len(v.states) for v in self.items], np.int64)

    @cached_property
    def offsets(self) -> npt.NDArray[np.int64]:
        """Position of each variable's first state among all states, and their number, (d + 1,)."""
        return np.concatenate([[0], np.cumsum(self.cards)]).astype(np.int64)

    @property
    def states(self) -> int:
        """Number of states of all variables together."""
        return int(self.offsets[-1])

    def index(self, name: str, role: str = "variable") -> int:
        """Return the position of a variable.

        Raises
        ------
        ConfigurationError
            ``unknown_variable``.
        """
        if name in self.names:
            return self.names.index(name)
        raise ConfigurationError(
            "unknown_variable",
            f"There is no {role} {name!r} in the network.{nearest(name, self.names)}",
            f"Variables are: {', '.join(self.names[:12])}.",
        )

    def cells(self, family: Sequence[int]) -> int:
        """Return the number of cells of the table of some variables."""
        size = 1
        for v in family:
            size *= int(self.cards[v])
        return size
