"""A Bayesian network of categorical variables: a graph, and a table for each variable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import DataError, SparkMLDistError
from sparkml_dist.graphical.graph import Parents, acyclic_order, arcs_of, model_string
from sparkml_dist.graphical.variables import Variable, Variables

__all__ = ["Network"]

# Probabilities in files are rounded to some digits.
_SUM_TOLERANCE = 1e-3

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Network:
    """A Bayesian network.

    Attributes
    ----------
    variables : Variables
    parents : tuple of tuple of int
        Positions of each variable's parents, ascending.
    tables : tuple of ndarray
        Of each variable the probabilities of its states: an axis for each parent, in their order,
        and the variable's own last.

    Raises
    ------
    ConfigurationError
        ``cycle``.
    DataError
        ``invalid_probabilities`` where a table has another shape, or does not hold distributions.
    """

    variables: Variables
    parents: Parents
    tables: tuple[Floats, ...]

    def __post_init__(self) -> None:
        acyclic_order(self.parents, self.variables.names)
        for v, table in enumerate(self.tables):
            self._check_table(v, table)

    def _check_table(self, v: int, table: Floats) -> None:
        cards = self.variables.cards
        shape = tuple(int(cards[p]) for p in (*self.parents[v], v))
        name = self.variables.names[v]
        if table.shape != shape:
            raise DataError(
                "invalid_probabilities",
                f"The table of {name!r} has the shape {table.shape} instead of {shape}.",
                "Give one probability for each state and each configuration of the parents.",
            )
        sums = table.sum(axis=-1)
        if (
            not (np.isfinite(table).all() and (table >= 0).all())
            or (np.abs(sums - 1) > _SUM_TOLERANCE).any()
        ):
            raise DataError(
                "invalid_probabilities",
                f"The table of {name!r} does not hold distributions: rows sum to "
                f"{float(sums.min()):.6g} and up to {float(sums.max()):.6g}.",
                "Probabilities are >= 0, and those of a variable's states sum to 1.",
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        return self.variables.names

    @property
    def arcs(self) -> list[tuple[str, str]]:
        """The arcs as pairs (parent, child) of names, sorted by position."""
        return [(self.names[a], self.names[b]) for a, b in arcs_of(self.parents)]

    @cached_property
    def order(self) -> list[int]:
        """Positions of the variables, parents before children."""
        return acyclic_order(self.parents, self.names)

    @property
    def n_parameters(self) -> int:
        """Number of free parameters."""
        return sum(
            int(np.prod(t.shape[:-1], dtype=np.int64)) * (t.shape[-1] - 1) for t in self.tables
        )

    def __str__(self) -> str:
        return model_string(self.parents, self.names)

    def family(self, v: int) -> tuple[int, ...]:
        """Return a variable's parents and itself, in the order of its table's axes."""
        return (*self.parents[v], v)

    def codes(self, evidence: Mapping[str, object] | None) -> dict[int, int]:
        """Return evidence by names and states as positions and codes.

        Raises
        ------
        ConfigurationError
            ``unknown_variable``.
        DataError
            ``unknown_state``.
        """
        found = {}
        for name, state in (evidence or {}).items():
            v = self.variables.index(name, "evidence")
            found[v] = self.variables[v].code(state)
        return found

    def do(self, interventions: Mapping[str, object]) -> Network:
        """Return the network in which variables are set from outside.

        A variable that is set no longer depends on its parents; evidence on it would instead also
        change what is believed of them.

        Parameters
        ----------
        interventions : mapping of str to state

        References
        ----------
        Pearl (2009), "Causality", 2nd edition, section 3.2.
        """
        parents, tables = list(self.parents), list(self.tables)
        for v, code in self.codes(interventions).items():
            parents[v] = ()
            tables[v] = np.eye(int(self.variables.cards[v]))[code]
        return replace(self, parents=tuple(parents), tables=tuple(tables))

    def log_likelihoods(self, codes: npt.NDArray[Any]) -> Floats:
        """Return the logarithm of the probability of complete rows, shape (n,).

        Parameters
        ----------
        codes : ndarray of int, shape (n, d)
        """
        found = np.zeros(len(codes))
        with np.errstate(divide="ignore"):
            for v, table in enumerate(self.tables):
                logs = np.log(table)
                found += logs[tuple(codes[:, p] for p in self.family(v))]
        return found

    # -- saving -----------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Return variables and parents as JSON values; the tables are saved as an array."""
        return {
            "variables": [{"name": v.name, "states": list(v.states)} for v in self.variables.items],
            "parents": [list(p) for p in self.parents],
        }

    def flat_tables(self) -> Floats:
        """Return all tables one after the other, shape (n,)."""
        return np.concatenate([np.zeros(0), *(t.ravel() for t in self.tables)])

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], flat: npt.NDArray[Any]) -> Network:
        """Return the network of `to_dict` and `flat_tables`.

        Raises
        ------
        ValueError, TypeError, KeyError
            They do not fit together.
        """
        variables = Variables(
            tuple(
                Variable(_text(v["name"]), tuple(_text(s) for s in v["states"]))
                for v in value["variables"]
            )
        )
        d = len(variables)
        parents = tuple(tuple(_position(p, d) for p in of) for of in value["parents"])
        if len(parents) != d or any(list(of) != sorted(set(of)) for of in parents):
            raise ValueError("the parents do not fit the variables")
        tables, at = [], 0
        flat = np.asarray(flat, np.float64)
        for v, of in enumerate(parents):
            size = variables.cells((*of, v))
            if at + size > flat.size:
                raise ValueError("the tables have too few probabilities")
            shape = [int(variables.cards[p]) for p in (*of, v)]
            tables.append(flat[at : at + size].reshape(shape))
            at += size
        if at != flat.size:
            raise ValueError("the tables have too many probabilities")
        try:
            return cls(variables, parents, tuple(tables))
        except SparkMLDistError as error:
            raise ValueError(error.message) from error

    def reordered(self, names: Sequence[str]) -> Network:
        """Return the network with its variables in another order."""
        index = [self.variables.index(name) for name in names]
        place = {old: new for new, old in enumerate(index)}
        parents, tables = [], []
        for old in index:
            moved = [place[p] for p in self.parents[old]]
            order = np.argsort(moved)
            parents.append(tuple(sorted(moved)))
            tables.append(self.tables[old].transpose([*(int(i) for i in order), len(moved)]))
        variables = Variables(tuple(self.variables[v] for v in index))
        return Network(variables, tuple(parents), tuple(tables))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a text")
    return value


def _position(value: Any, size: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < size:
        raise ValueError(f"{value!r} is not the position of a variable")
    return value
