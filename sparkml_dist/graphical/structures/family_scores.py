"""Scores of families, computed once each, and counted in batches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkml_dist.graphical.counting.block_counts import Target
from sparkml_dist.graphical.counting.family_counts import FamilyCounts
from sparkml_dist.graphical.graph import Parents
from sparkml_dist.graphical.scores import Score, child_first

__all__ = ["FamilyScores"]

Floats = npt.NDArray[np.float64]


class FamilyScores:
    """Caches the scores of families, and of all families with one more parent.

    Parameters
    ----------
    counts : FamilyCounts
        With all pairs counted.
    score : Score

    Attributes
    ----------
    evaluated : int
        Number of families that were scored.
    wanted : set of tuple of int
        Bases whose counts were missing when `additions` was asked for them.
    refused : set of tuple of int
        Bases with more cells than a pass may count: families that grow from them do not exist.
    """

    def __init__(self, counts: FamilyCounts, score: Score) -> None:
        self.counts = counts
        self.score = score
        self.evaluated = 0
        self.wanted: set[tuple[int, ...]] = set()
        self.refused: set[tuple[int, ...]] = set()
        self._additions: dict[tuple[int, tuple[int, ...]], Floats] = {}
        self._families: dict[tuple[int, tuple[int, ...]], float] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        return self.counts.variables.names

    def family(self, child: int, parents: tuple[int, ...]) -> float | None:
        """Return the score of a family; None while its counts are not known."""
        key = (child, parents)
        found = self._families.get(key)
        if found is not None:
            return found
        for i, last in enumerate(parents):
            rest = self._additions.get((child, (*parents[:i], *parents[i + 1 :])))
            if rest is not None:
                self._families[key] = float(rest[last])
                return self._families[key]
        table = self.counts.table((child, *parents))
        if table is None:
            return None
        self.evaluated += 1
        self._families[key] = self.score.family(child_first(table, child, parents))
        return self._families[key]

    def additions(self, child: int, parents: tuple[int, ...]) -> Floats | None:
        """Return the score of the child with each variable as one more parent, shape (d,).

        -inf for the child, its parents, and families that have too many cells; None, and an entry
        in `wanted`, while the counts are not known.
        """
        key = (child, parents)
        found = self._additions.get(key)
        if found is not None:
            return found
        variables = self.counts.variables
        base = tuple(sorted((child, *parents)))
        if not self.counts.knows(base):
            if self.counts.cells(Target(base)) <= self.counts.most_cells:
                self.wanted.add(base)
                return None
            self.refused.add(base)
            self._additions[key] = np.full(len(variables), -np.inf)
            return self._additions[key]
        counts = self.counts.base(base)
        cards = [int(variables.cards[v]) for v in base]
        r = int(variables.cards[child])
        at = base.index(child)
        cells = np.moveaxis(counts.reshape(*cards, -1), at, 0).reshape(r, -1, counts.shape[1])
        found = self.score.families(cells, r, variables.cards, variables.offsets)
        found[list(base)] = -np.inf
        self.evaluated += len(variables) - len(base)
        self._additions[key] = found
        return found

    def count_wanted(self) -> None:
        """Count the bases that were wanted, in one pass if they have few enough cells."""
        self.counts.count(Target(base) for base in sorted(self.wanted))
        self.wanted.clear()

    def total(self, parents: Parents) -> float:
        """Return the score of a network; families that are not known are counted."""
        return self.score.network(self.counts, parents)
