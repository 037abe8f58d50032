"""Scores of families, computed once each; guessed where they are not counted yet."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from sparkml_dist.graphical.counting.block_counts import Target
from sparkml_dist.graphical.counting.family_counts import FamilyCounts
from sparkml_dist.graphical.graph import Parents
from sparkml_dist.graphical.scores import Score, child_first

__all__ = ["FamilyScores"]

Floats = npt.NDArray[np.float64]
Family = tuple[int, tuple[int, ...]]


class FamilyScores:
    """Caches the scores of families, and of all families with one more parent.

    What is not counted yet is guessed, and told in `wanted`: a search that asks again after
    `count_wanted`, until nothing is wanted, has asked for exact scores only.

    Parameters
    ----------
    counts : FamilyCounts
        With all pairs counted.
    score : Score

    Attributes
    ----------
    evaluated : int
        Number of families that were scored.
    wanted : dict of tuple of int to None
        Bases whose counts were missing, in the order in which they were asked for.
    refused : set of tuple of int
        Bases with more cells than a pass may count: families that grow from them do not exist.

    Notes
    -----
    What two parents tell of a child is guessed to be what each of them tells given the others; the
    penalty for parameters is exact. Of the guesses by different parents the least holds, so that
    what several share is not counted twice. A guess depends on the family alone, and not on the way
    on which a search comes to it, which would go in circles otherwise. A search by guesses finds
    most of the families that one by counts asks for, and these are counted in one pass.
    """

    def __init__(self, counts: FamilyCounts, score: Score) -> None:
        self.counts = counts
        self.score = score
        self.evaluated = 0
        self.wanted: dict[tuple[int, ...], None] = {}
        self.refused: set[tuple[int, ...]] = set()
        self._additions: dict[Family, Floats] = {}
        self._families: dict[Family, float] = {}
        self._guesses: dict[Family, Floats] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables."""
        return self.counts.variables.names

    def family(self, child: int, parents: tuple[int, ...]) -> float:
        """Return the score of a family; a guess, and an entry in `wanted`, if it is not counted."""
        found = self._family(child, parents)
        if found is None:
            rest, last = parents[:-1], parents[-1]
            self._want(tuple(sorted((child, *rest))))
            found = float(self._guess(child, rest)[last])
        return found

    def _family(self, child: int, parents: tuple[int, ...]) -> float | None:
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

    def additions(self, child: int, parents: tuple[int, ...]) -> Floats:
        """Return the score of the child with each variable as one more parent, shape (d,).

        -inf for the child, its parents, and families that have too many cells; guesses, and an
        entry in `wanted`, if they are not counted.
        """
        found = self._known_additions(child, parents)
        if found is None:
            self._want(tuple(sorted((child, *parents))))
            found = self._guess(child, parents)
        return found

    def _known_additions(self, child: int, parents: tuple[int, ...]) -> Floats | None:
        key = (child, parents)
        found = self._additions.get(key)
        if found is not None:
            return found
        variables = self.counts.variables
        base = tuple(sorted((child, *parents)))
        if not self.counts.knows(base):
            if self.counts.cells(Target(base)) <= self.counts.most_cells:
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

    def _want(self, base: tuple[int, ...]) -> None:
        self.wanted.setdefault(base)

    def _guess(self, child: int, parents: tuple[int, ...]) -> Floats:
        """Return the scores of the child with one more parent, guessed where not counted."""
        found = self._known_additions(child, parents)
        if found is None:
            found = self._guesses.get((child, parents))
        if found is not None:
            return found
        # L(U) of each one more parent, L being a score without its penalty, is the least over two
        # of the parents of L(U - a) + L(U - b) - L(U - a - b): of the new one and another, or not.
        likelihoods = []
        mine = self._likelihood(child, parents)
        without = [(*parents[:i], *parents[i + 1 :]) for i in range(len(parents))]
        by_rest = [self._likelihoods(child, rest) for rest in without]
        with np.errstate(invalid="ignore"):  # of families that do not exist
            for rest, more in zip(without, by_rest, strict=True):
                likelihoods.append(mine + more - self._likelihood(child, rest))
            for i, j in combinations(range(len(parents)), 2):
                rest = (*parents[:i], *parents[i + 1 : j], *parents[j + 1 :])
                likelihoods.append(by_rest[i] + by_rest[j] - self._likelihoods(child, rest))
        found = np.minimum.reduce(likelihoods) - self._prices(child, parents)
        found[np.isnan(found)] = -np.inf
        found[[child, *parents]] = -np.inf
        for v in np.flatnonzero(found > -np.inf).tolist():
            known = self._family(child, tuple(sorted((*parents, v))))
            if known is not None:
                found[v] = known
        self._guesses[child, parents] = found
        return found

    def _likelihood(self, child: int, parents: tuple[int, ...]) -> float:
        return self._guessed_family(child, parents) + self._price(child, parents)

    def _likelihoods(self, child: int, parents: tuple[int, ...]) -> Floats:
        return self._guess(child, parents) + self._prices(child, parents)

    def _guessed_family(self, child: int, parents: tuple[int, ...]) -> float:
        found = self._family(child, parents)
        return float(self._guess(child, parents[:-1])[parents[-1]]) if found is None else found

    def _price(self, child: int, parents: tuple[int, ...]) -> float:
        """Return the penalty of a family; of marginal likelihoods, what it comes to: BIC's."""
        cards = self.counts.variables.cards
        cells = math.prod(int(cards[p]) for p in parents)
        score = replace(self.score, name="bic") if self.score.bayesian else self.score
        return float(score.penalty((int(cards[child]) - 1) * cells))

    def _prices(self, child: int, parents: tuple[int, ...]) -> Floats:
        return np.float64(self._price(child, parents)) * self.counts.variables.cards

    def count_wanted(self) -> None:
        """Count in one pass the bases that were wanted, the first ones if they are too many."""
        chosen: list[Target] = []
        used = 0
        for base in self.wanted:
            target = Target(base)
            used += self.counts.cells(target)
            if chosen and used > self.counts.most_cells:
                break
            chosen.append(target)
        self.counts.count(chosen)
        self.wanted.clear()
        self._guesses.clear()

    def total(self, parents: Parents) -> float:
        """Return the score of a network; families that are not known are counted."""
        return self.score.network(self.counts, parents)
