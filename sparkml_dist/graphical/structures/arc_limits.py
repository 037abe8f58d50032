"""What a structure may look like: white and black lists, and a bound on parents."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.graphical.graph import Parents, acyclic_order, parents_of
from sparkml_dist.graphical.variables import Variables

__all__ = ["ArcLimits"]


@dataclass(frozen=True)
class ArcLimits:
    """Which arcs a structure must and must not have.

    Attributes
    ----------
    required, forbidden : ndarray of bool, shape (d, d)
        Of arcs from the first variable to the second.
    most_parents : int
    """

    required: npt.NDArray[np.bool_]
    forbidden: npt.NDArray[np.bool_]
    most_parents: int

    @classmethod
    def of(
        cls,
        variables: Variables,
        white: Iterable[Sequence[str]] | None = None,
        black: Iterable[Sequence[str]] | None = None,
        most_parents: int | None = None,
    ) -> ArcLimits:
        """Return the limits of lists of pairs (parent, child) of names.

        Raises
        ------
        ConfigurationError
            ``unknown_variable``; ``invalid_param`` for what is not a pair of two variables, or for
            more required parents than are allowed; ``conflicting_params`` for an arc in both
            lists; ``cycle`` for a cycle among the required arcs.
        """
        d = len(variables)
        most = d - 1 if most_parents is None else most_parents
        required, forbidden = np.zeros((d, d), bool), np.zeros((d, d), bool)
        for role, pairs, into in (("whiteList", white, required), ("blackList", black, forbidden)):
            for pair in pairs or ():
                if isinstance(pair, str) or len(pair) != 2 or pair[0] == pair[1]:
                    raise ConfigurationError(
                        "invalid_param",
                        f"{role} must hold pairs of a parent and a child. Got {pair!r}.",
                        'For example [("A", "B")] for an arc from A to B.',
                    )
                into[variables.index(pair[0], role), variables.index(pair[1], role)] = True
        both = np.argwhere(required & forbidden)
        if len(both):
            a, b = (variables.names[int(v)] for v in both[0])
            raise ConfigurationError(
                "conflicting_params",
                f"The arc from {a!r} to {b!r} is in whiteList and in blackList.",
                "Leave it out of one of them.",
            )
        limits = cls(required, forbidden, most)
        acyclic_order(limits.start(), variables.names, "whiteList")
        fullest = int(required.sum(axis=0).argmax()) if d else 0
        if d and required[:, fullest].sum() > most:
            raise ConfigurationError(
                "invalid_param",
                f"whiteList gives {variables.names[fullest]!r} {required[:, fullest].sum()} "
                f"parents, but maxParents is {most}.",
                "Allow more parents.",
            )
        return limits

    def start(self) -> Parents:
        """Return the graph of the required arcs alone."""
        arcs = [(int(a), int(b)) for a, b in np.argwhere(self.required)]
        return parents_of(len(self.required), arcs)

    @property
    def any(self) -> bool:
        """Whether there is an arc in either list."""
        return bool(self.required.any() or self.forbidden.any())
