"""Search over orders of the variables: each takes its parents from those before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparkml_dist.graphical.graph import Parents
from sparkml_dist.graphical.structures.arc_limits import ArcLimits
from sparkml_dist.graphical.structures.graph_scores import GraphScores

__all__ = ["order_search"]

# Less is rounding, by which equal scores must not be told apart.
_LEAST_GAIN = 1e-6
_DIGITS = 6
_MOST_MOVES = 10_000

Choice = tuple[float, tuple[int, ...]]


def order_search(scores: GraphScores, limits: ArcLimits, order: Sequence[int]) -> Parents:
    """Move variables in an order as long as that raises the score: by one place, or else by any.

    Parameters
    ----------
    scores : GraphScores
    limits : ArcLimits
    order : sequence of int
        Parents of required arcs come before their children.

    Returns
    -------
    tuple of tuple of int
        The graph of the last order.

    Notes
    -----
    Each variable chooses its parents among those before it by adding and removing the best, one at
    a time.

    References
    ----------
    Teyssier, Koller (2005), "Ordering-based search: a simple and effective algorithm for learning
    Bayesian networks", UAI.
    """
    search = _Orders(scores, limits)
    current = list(order)
    for _ in range(_MOST_MOVES):
        move = search.best_swap(current) or search.best_move(current)
        if move is None:
            break
        current = _moved(current, *move)
    found: list[tuple[int, ...]] = [()] * len(current)
    before = 0
    for child in current:
        found[child] = search.choose(child, before)[1]
        before |= 1 << child
    return tuple(found)


def _moved(order: list[int], start: int, end: int) -> list[int]:
    rest = [*order[:start], *order[start + 1 :]]
    return [*rest[:end], order[start], *rest[end:]]


@dataclass(frozen=True)
class _Step:
    """How one variable's parents may change, whichever variables it may choose from.

    Attributes
    ----------
    additions : tuple of (int, float, tuple of int)
        Those that raise the score, the best first: the parent's bit, and score and parents with it.
    removal : Choice or None
        The best.
    """

    additions: tuple[tuple[int, float, tuple[int, ...]], ...]
    removal: Choice | None


class _Orders:
    """Chooses parents among the variables before one, and remembers the choices."""

    def __init__(self, scores: GraphScores, limits: ArcLimits) -> None:
        self.scores = scores
        self.limits = limits
        #: By the variable and the bit mask of those that it may choose from.
        self.chosen: dict[tuple[int, int], Choice] = {}
        #: By the variable and its parents.
        self.steps: dict[tuple[int, tuple[int, ...]], _Step] = {}
        self._required = [
            tuple(np.flatnonzero(limits.required[:, child]).tolist())
            for child in range(len(limits.required))
        ]
        self._allowed = [
            sum(1 << int(v) for v in np.flatnonzero(~limits.forbidden[:, child]))
            for child in range(len(limits.forbidden))
        ]

    def best_swap(self, order: list[int]) -> tuple[int, int] | None:
        """Return the move of one variable by one place that raises the score most."""
        best, found = _LEAST_GAIN, None
        before = 0
        for i in range(len(order) - 1):
            gain = self._gain(order[i], order[i + 1], before)
            if gain > best:
                best, found = gain + _LEAST_GAIN, (i, i + 1)
            before |= 1 << order[i]
        return found

    def best_move(self, order: list[int]) -> tuple[int, int] | None:
        """Return the move of one variable to any place that raises the score most."""
        best, found = _LEAST_GAIN, None
        before = 0
        for start, moved in enumerate(order):
            total, inside = 0.0, before
            for end in range(start + 1, len(order)):  # behind those that follow
                total += self._gain(moved, order[end], inside)
                inside |= 1 << order[end]
                if total > best:
                    best, found = total + _LEAST_GAIN, (start, end)
            total, inside = 0.0, before
            for end in range(start - 1, -1, -1):  # before those that precede
                inside &= ~(1 << order[end])
                total += self._gain(order[end], moved, inside)
                if total > best:
                    best, found = total + _LEAST_GAIN, (start, end)
            before |= 1 << moved
        return found

    def _gain(self, first: int, second: int, before: int) -> float:
        """Return what swapping two neighbours adds to the score; -inf where it is not allowed.

        Parameters
        ----------
        first, second : int
        before : int
            Bit mask of the variables before both.
        """
        if self.limits.required[first, second]:
            return -np.inf
        return (
            self.choose(second, before)[0]
            + self.choose(first, before | 1 << second)[0]
            - self.choose(first, before)[0]
            - self.choose(second, before | 1 << first)[0]
        )

    def choose(self, child: int, before: int) -> Choice:
        """Return score and parents of a variable.

        Parameters
        ----------
        child : int
        before : int
            Bit mask of the variables before it.
        """
        mask = before & self._allowed[child]
        key = (child, mask)
        found = self.chosen.get(key)
        if found is None:
            found = self.chosen[key] = self._choose(child, mask)
        return found

    def _choose(self, child: int, allowed: int) -> Choice:
        parents = self._required[child]
        mine = self.scores.family(child, parents)
        for _ in range(_MOST_MOVES):  # rounding must not lead in circles
            step = self.steps.get((child, parents))
            if step is None:
                step = self.steps[child, parents] = self._step(child, parents, mine)
            best, better = mine + _LEAST_GAIN, None
            for bit, value, more in step.additions:
                if bit & allowed:
                    best, better = value, more
                    break
            if step.removal is not None:
                value, fewer = step.removal
                if value > best + (0.0 if better is None else _LEAST_GAIN):
                    best, better = value, fewer
            if better is None:
                break
            mine, parents = best, better
        return mine, parents

    def _step(self, child: int, parents: tuple[int, ...], mine: float) -> _Step:
        """Rank what may be added to a variable's parents, and find what is best removed."""
        scores, fixed = self.scores, self.limits.required[:, child]
        additions: list[tuple[int, float, tuple[int, ...]]] = []
        if len(parents) < self.limits.most_parents:
            more = scores.additions(child, parents)
            # The first of equal ones, as `argmax` of the rounded scores would choose.
            ranked = np.argsort(-np.round(more, _DIGITS), kind="stable").tolist()
            values = more.tolist()
            for v in ranked:
                if values[v] <= mine + _LEAST_GAIN:
                    break
                additions.append((1 << v, values[v], tuple(sorted((*parents, v)))))
        removal: Choice | None = None
        for i, parent in enumerate(parents):
            if fixed[parent]:
                continue
            rest = (*parents[:i], *parents[i + 1 :])
            value = scores.family(child, rest)
            if removal is None or value > removal[0] + _LEAST_GAIN:
                removal = (value, rest)
        return _Step(tuple(additions), removal)
