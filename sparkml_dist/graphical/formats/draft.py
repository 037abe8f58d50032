"""What a file says of a network, gathered and checked with the numbers of its lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import DataError, nearest
from sparkml_dist.graphical.graph import Parents, find_cycle
from sparkml_dist.graphical.network import Network
from sparkml_dist.graphical.variables import Variable, Variables

__all__ = ["Draft", "DraftTable", "not_read"]

_SUM_TOLERANCE = 1e-3
_MOST_CELLS = 1 << 24

Floats = npt.NDArray[np.float64]


def not_read(where: str, line: int, what: str, hint: str = "") -> DataError:
    """Return the error of a file that holds no network."""
    return DataError(
        "network_not_read", f"{where}, line {line}: {what}", hint or "Correct the file."
    )


@dataclass
class DraftTable:
    """The distribution of a variable.

    Attributes
    ----------
    line : int
        Where it begins.
    child : str
    parents : list of str
    rows : dict of tuple of str to (int, list of float)
        By the states of the parents: the line, and probabilities.
    default : list of float or None
        Of configurations without a row.
    whole : (int, Floats) or None
        The line of a list of all probabilities, and these; see `child_first`.
    child_first : bool
        Whether the child's state changes slowest in that list (BIF) and not fastest (XMLBIF).
    """

    line: int
    child: str
    parents: list[str]
    rows: dict[tuple[str, ...], tuple[int, list[float]]] = field(default_factory=dict)
    default: list[float] | None = None
    whole: tuple[int, list[float]] | None = None
    child_first: bool = True


class Draft:
    """A network under construction.

    Parameters
    ----------
    where : str
        Name of the file, for errors.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self.variables: dict[str, tuple[str, ...]] = {}
        self.tables: dict[str, DraftTable] = {}
        self._lines: dict[str, int] = {}

    def add_variable(self, name: str, states: Sequence[str], line: int) -> None:
        """Add a variable.

        Raises
        ------
        DataError
            ``network_not_read`` where it or one of its states comes twice.
        """
        if name in self.variables:
            raise not_read(self.where, line, f"the variable {name!r} comes twice.")
        twice = [s for i, s in enumerate(states) if s in states[:i]]
        if twice:
            raise not_read(self.where, line, f"{name!r} has the state {twice[0]!r} twice.")
        if not states:
            raise not_read(self.where, line, f"{name!r} has no states.")
        self.variables[name] = tuple(states)
        self._lines[name] = line

    def add_table(self, table: DraftTable) -> None:
        """Add a distribution; raise where its variable has one already."""
        if table.child in self.tables:
            raise not_read(
                self.where, table.line, f"the probabilities of {table.child!r} come twice."
            )
        self.tables[table.child] = table

    def network(self) -> Network:
        """Return the network.

        Raises
        ------
        DataError
            ``network_not_read``, with the line, for an unknown variable or state, a missing row, a
            cycle, and for what is no distribution.
        """
        names = list(self.variables)
        for table in self.tables.values():
            for name in (table.child, *table.parents):
                if name not in self.variables:
                    raise not_read(
                        self.where,
                        table.line,
                        f"there is no variable {name!r}.{nearest(name, names)}",
                    )
            if len({table.child, *table.parents}) <= len(table.parents):
                raise not_read(
                    self.where, table.line, f"{table.child!r} is its own parent, or has one twice."
                )
        for name in names:
            if name not in self.tables:
                raise not_read(self.where, self._lines[name], f"{name!r} has no probabilities.")
        place = {name: i for i, name in enumerate(names)}
        parents: Parents = tuple(
            tuple(sorted(place[p] for p in self.tables[name].parents)) for name in names
        )
        cycle = find_cycle(parents)
        if cycle:
            shown = " → ".join(names[v] for v in [*cycle, cycle[0]])
            line = min(self.tables[names[v]].line for v in cycle)
            raise not_read(self.where, line, f"the arcs have a cycle: {shown}.")
        tables = []
        for name in names:
            draft = self.tables[name]
            values = self._values(draft)
            order = np.argsort([place[p] for p in draft.parents])
            tables.append(values.transpose([*(int(i) for i in order), len(draft.parents)]))
        variables = Variables(tuple(Variable(n, s) for n, s in self.variables.items()))
        return Network(variables, parents, tuple(tables))

    def _values(self, table: DraftTable) -> Floats:
        """Return the probabilities of a table, axes in the order of its parents, normalized."""
        states = [self.variables[p] for p in table.parents]
        r = len(self.variables[table.child])
        shape = [len(s) for s in states]
        size = int(np.prod([*shape, r], dtype=np.int64))
        if size > _MOST_CELLS:
            raise not_read(self.where, table.line, f"{table.child!r} has {size:,} probabilities.")
        if table.whole is not None:
            line, numbers = table.whole
            if len(numbers) != size:
                raise not_read(
                    self.where,
                    line,
                    f"{table.child!r} has {len(numbers)} probabilities instead of {size}.",
                )
            flat = np.array(numbers, np.float64)
            if table.child_first:
                values = np.moveaxis(flat.reshape([r, *shape]), 0, -1)
            else:
                values = flat.reshape([*shape, r])
            return self._normalized(table, values, dict.fromkeys(np.ndindex(*shape), line))
        values = np.full([*shape, r], np.nan)
        lines: dict[tuple[int, ...], int] = {}
        for given, (line, numbers) in table.rows.items():
            at = self._place(table, states, given, line)
            if len(numbers) != r:
                raise not_read(
                    self.where,
                    line,
                    f"{table.child!r} has {r} states. Got {len(numbers)} probabilities.",
                )
            values[at], lines[at] = numbers, line
        for at in product(*(range(n) for n in shape)):
            if at in lines:
                continue
            if table.default is None or len(table.default) != r:
                shown = ", ".join(
                    f"{p}={s[i]}" for p, s, i in zip(table.parents, states, at, strict=True)
                )
                raise not_read(
                    self.where,
                    table.line,
                    f"{table.child!r} has no row of probabilities for {shown or 'its states'}.",
                    "Add the row, or a default.",
                )
            values[at], lines[at] = table.default, table.line
        return self._normalized(table, values, lines)

    def _place(
        self,
        table: DraftTable,
        states: Sequence[tuple[str, ...]],
        given: tuple[str, ...],
        line: int,
    ) -> tuple[int, ...]:
        if len(given) != len(states):
            raise not_read(
                self.where,
                line,
                f"{table.child!r} has {len(states)} parents. Got {len(given)} states.",
            )
        found = []
        for parent, known, state in zip(table.parents, states, given, strict=True):
            if state not in known:
                raise not_read(
                    self.where,
                    line,
                    f"{parent!r} has no state {state!r}.{nearest(state, known)}",
                    f"Its states are: {', '.join(known[:12])}.",
                )
            found.append(known.index(state))
        return tuple(found)

    def _normalized(
        self, table: DraftTable, values: Floats, lines: dict[tuple[int, ...], int]
    ) -> Floats:
        sums = values.sum(axis=-1)
        wrong = ~np.isfinite(sums) | (np.abs(sums - 1) > _SUM_TOLERANCE) | (values < 0).any(axis=-1)
        for at in np.argwhere(np.atleast_1d(wrong))[:1]:
            key = tuple(int(i) for i in at) if values.ndim > 1 else ()
            raise not_read(
                self.where,
                lines[key],
                f"the probabilities of {table.child!r} sum to {float(sums[key]):.6g}, or one is "
                "negative.",
            )
        return np.asarray(values / sums[..., None], np.float64)
