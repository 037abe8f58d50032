"""Counts of families: made in few passes, or where the rows are as they are needed; kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import DataError
from sparkml_dist.graphical.counting.block_counts import (
    Target,
    count_bases,
    count_triples,
)
from sparkml_dist.graphical.counting.coded_rows import CodedRows
from sparkml_dist.graphical.counting.frequent_states import completed
from sparkml_dist.graphical.counting.held_rows import HeldRows
from sparkml_dist.graphical.variables import Variables

__all__ = ["MOST_CELLS", "FamilyCounts", "too_many_cells"]

#: Most cells that a pass counts: 128 MiB of int64.
MOST_CELLS = 1 << 24

Counts = npt.NDArray[np.int64]


class FamilyCounts:
    """Counts of families of variables, exact integers, the same for any partitioning of the rows.

    The counts of a *base*, a set of variables, with each state of each other variable are one
    array: of shape (cells of the base, states of all variables). All families that grow from the
    base by one variable are among them.

    Of rows in this process's memory, what is asked for is counted at once, and always known unless
    it has too many cells.

    Parameters
    ----------
    rows : CodedRows
    most_cells : int, default=2**24
        Most cells of one pass.

    Attributes
    ----------
    n_rows : int
        Number of rows; 0 before the first pass.
    missing : ndarray of int64, shape (d,)
        Number of missing values of each variable.
    passes : int
        Number of passes over the rows so far.
    """

    def __init__(self, rows: CodedRows, most_cells: int = MOST_CELLS) -> None:
        self.rows = rows
        self.variables: Variables = rows.variables
        self.most_cells = most_cells
        self.n_rows = 0
        self.passes = 0
        self.missing = np.zeros(len(self.variables), np.int64)
        self._bases: dict[tuple[int, ...], Counts] = {}
        self._tables: dict[tuple[int, ...], Counts] = {}
        self._triples: Counts | None = None
        self._held = rows.held()

    # -- passes ---------------------------------------------------------------------------

    def count_all(self, size: Literal[1, 2, 3]) -> None:
        """Count all families of up to `size` variables in one pass.

        Three become two where the triples have more cells than a pass may count: families of three
        are then counted when they are needed.

        Raises
        ------
        DataError
            ``too_many_cells``.
        """
        variables = self.variables
        states = variables.states
        if self._held is not None and size > 1 and 1 < states**2 <= self.most_cells:
            self._look_at(self._held)
            self._set_pairs(self._held.pairs())
            return
        if size == 3 and states**3 <= self.most_cells:
            found = self._sum(count_triples, (variables.cards,), "count pairs and triples")
            self._triples = _symmetric(found["triples"], variables)
            self._set_pairs(found["pairs"])
            return
        if size == 1 or states <= 1:
            self.count([Target(())])
            return
        if states**2 > self.most_cells:
            raise too_many_cells(
                f"The tables of all pairs of {len(variables)} variables with {states:,} states",
                states**2,
                self.most_cells,
            )
        targets = [Target((v,)) for v in range(len(variables))]
        self.count(targets)
        self._set_pairs(np.concatenate([self._bases[(v,)] for v in range(len(variables))]))

    def _set_pairs(self, pairs: Counts) -> None:
        offsets = self.variables.offsets
        for v in range(len(self.variables)):
            self._bases[(v,)] = pairs[offsets[v] : offsets[v + 1]]
        self._set_single(pairs.diagonal())

    def _set_single(self, states: Counts) -> None:
        self._bases[()] = states.reshape(1, -1)
        starts = self.variables.offsets[:-1]
        present = np.add.reduceat(states, starts) if len(starts) else states
        self.missing = self.n_rows - present

    def count(self, targets: Iterable[Target]) -> None:
        """Count bases that are not known yet, in as few passes as the cap on cells allows.

        Raises
        ------
        DataError
            ``too_many_cells`` for a single base, before any pass.
        """
        todo: dict[Target, int] = {}
        for target in targets:
            if target in todo or self._has(target):
                continue
            cells = self.cells(target)
            if cells > self.most_cells:
                family = " × ".join(
                    f"{self.variables[v].name} ({self.variables.cards[v]:,})" for v in target.base
                )
                raise too_many_cells(f"The table of {family}", cells, self.most_cells)
            todo[target] = cells
        if self._held is not None:
            self._count_held(self._held, todo)
            return
        while todo:
            batch: list[Target] = []
            used = 0
            for target, cells in list(todo.items()):
                if batch and used + cells > self.most_cells:
                    continue
                batch.append(target)
                used += cells
                del todo[target]
            batch = self._reduced(batch)
            found = self._sum(
                count_bases, (self.variables.cards, batch), f"count {len(batch)} sets of families"
            )
            for i, target in enumerate(batch):
                self._complete(target, found[str(i)])
                self._keep(target, found[str(i)])

    def _reduced(self, targets: Sequence[Target]) -> list[Target]:
        """Leave out of each base's rows those that follow from smaller bases, which come first."""
        if () not in self._bases:
            return list(targets)
        modes = self._modes()
        there: set[tuple[int, ...]] = set()
        found = []
        for target in sorted(targets, key=lambda t: len(t.base)):
            base = target.base
            if target.others is None:
                rests = ((v, (*base[:i], *base[i + 1 :])) for i, v in enumerate(base))
                without = tuple(
                    (v, modes[v])
                    for v, rest in rests
                    if not self.missing[v] and (rest in there or self._counted(rest))
                )
                there.add(base)
                target = replace(target, without=without)
            found.append(target)
        return found

    def _modes(self) -> list[int]:
        single, offsets = self._bases[()].ravel(), self.variables.offsets
        return [
            int(single[offsets[v] : offsets[v + 1]].argmax()) for v in range(len(self.variables))
        ]

    def _complete(self, target: Target, counts: Counts) -> None:
        base = target.base
        rests = {}
        for v, mode in target.without:
            i = base.index(v)
            rests[i] = (mode, self.base((*base[:i], *base[i + 1 :])))
        completed(counts, [int(self.variables.cards[v]) for v in base], rests)
        if rests:  # the columns of the base's own variables have no meaning
            for v in base:
                counts[:, self.variables.offsets[v] : self.variables.offsets[v + 1]] = 0

    def _count_held(self, held: HeldRows, targets: Iterable[Target]) -> None:
        self._look_at(held)
        for target in targets:
            if target.others is None:
                self._keep(target, held.base(target.base, self._bases.get))
                continue
            for other in target.others:
                family = tuple(sorted((*target.base, other)))
                self._tables[family] = held.table(family)

    def _look_at(self, held: HeldRows) -> None:
        self.passes = 1
        self.n_rows, self.missing = held.rows, held.missing
        if self.n_rows == 0:
            raise _no_rows()

    def _keep(self, target: Target, counts: Counts) -> None:
        if target.others is None:
            self._bases[target.base] = counts
            if not target.base:
                self._set_single(counts.ravel())
            return
        at = 0
        for other in target.others:
            r = int(self.variables.cards[other])
            family = (*target.base, other)
            shape = [int(self.variables.cards[v]) for v in family]
            table = counts[:, at : at + r].reshape(shape)
            order = np.argsort(family)
            self._tables[tuple(sorted(family))] = table.transpose(order)
            at += r

    def _sum(self, function: Any, parameters: Sequence[Any], description: str) -> dict[str, Any]:
        found = self.rows.sum(function, parameters, description=description)
        self.passes += 1
        self.n_rows = int(found["rows"])
        if self.n_rows == 0:
            raise _no_rows()
        return found

    def cells(self, target: Target) -> int:
        """Return the number of cells that counting a base takes."""
        cards = self.variables.cards
        others = self.variables.states
        if target.others is not None:
            others = int(sum(int(cards[v]) for v in target.others))
        return self.variables.cells(target.base) * others

    # -- looking up -----------------------------------------------------------------------

    def _has(self, target: Target) -> bool:
        if target.others is not None:
            return all(self.table((*target.base, v)) is not None for v in target.others)
        return self.knows(target.base)

    def knows(self, base: tuple[int, ...]) -> bool:
        """Tell whether a base, ascending, was counted; of rows in memory it is counted now."""
        if self._counted(base):
            return True
        target = Target(base)
        if self._held is None or self.cells(target) > self.most_cells:
            return False
        self._count_held(self._held, [target])
        return True

    def _counted(self, base: tuple[int, ...]) -> bool:
        return base in self._bases or (self._triples is not None and len(base) == 2)

    def base(self, base: tuple[int, ...]) -> Counts:
        """Return the counts of a known base with all states, shape (cells, states).

        The columns of the base's own variables have no meaning.
        """
        found = self._bases.get(base)
        if found is not None:
            return found
        assert self._triples is not None
        offsets = self.variables.offsets
        a, b = base
        part = self._triples[offsets[a] : offsets[a + 1], offsets[b] : offsets[b + 1]]
        counts: Counts = part.reshape(-1, self.variables.states)
        return counts

    def table(self, family: Iterable[int]) -> Counts | None:
        """Return the counts of a family with an axis for each variable, ascending; None if unknown.

        A marginal of a known base counts as known.
        """
        key = tuple(sorted(family))
        if key in self._tables:
            return self._tables[key]
        cards, offsets = self.variables.cards, self.variables.offsets
        for i, last in enumerate(key):
            rest = (*key[:i], *key[i + 1 :])
            if not self._counted(rest):
                continue
            block = self.base(rest)[:, offsets[last] : offsets[last + 1]]
            table = block.reshape([int(cards[v]) for v in (*rest, last)])
            self._tables[key] = np.moveaxis(table, -1, i)
            return self._tables[key]
        if self._held is not None and self.variables.cells(key) <= self.most_cells:
            self._tables[key] = self._held.table(key)
            return self._tables[key]
        if self._counted(key) and not self.missing.any():
            other = next((v for v in range(len(cards)) if v not in key), None)
            if other is not None:
                block = self.base(key)[:, offsets[other] : offsets[other + 1]]
                self._tables[key] = block.sum(axis=1).reshape([int(cards[v]) for v in key])
                return self._tables[key]
        return None

    def tables(self, families: Iterable[Iterable[int]]) -> list[Counts]:
        """Return the tables of families; those that are not known are counted in one pass.

        Raises
        ------
        DataError
            ``too_many_cells``.
        """
        keys = [tuple(sorted(f)) for f in families]
        unknown = [key for key in dict.fromkeys(keys) if self.table(key) is None]
        self.count(Target(key[:-1], (key[-1],)) for key in unknown)
        found = [self.table(key) for key in keys]
        assert all(table is not None for table in found)
        return [table for table in found if table is not None]


def _symmetric(flat: Counts, variables: Variables) -> Counts:
    """Return triples of states, shape (S, S, S), from those of ascending variables."""
    states, offsets = variables.states, variables.offsets
    found = np.zeros((states, states, states), np.int64)
    at = 0
    for v in range(len(variables)):
        r, rest = int(variables.cards[v]), states - int(offsets[v + 1])
        part = flat[at : at + r * rest * rest].reshape(r, rest, rest)
        at += r * rest * rest
        own, after = slice(int(offsets[v]), int(offsets[v + 1])), slice(int(offsets[v + 1]), None)
        found[own, after, after] = part
        found[after, own, after] = part.transpose(1, 0, 2)
        found[after, after, own] = part.transpose(1, 2, 0)
    return found


def _no_rows() -> DataError:
    return DataError("empty_data", "The data has no rows.", "Check the path and filters.")


def too_many_cells(what: str, cells: int, most: int) -> DataError:
    """Return the error of tables that are too large to be counted."""
    return DataError(
        "too_many_cells",
        f"{what} would have {cells:,} cells, more than {most:,}.",
        "Leave variables with many states out, group rare states, or allow fewer parents.",
    )
