"""Search over orders of the variables: each takes its parents from those before it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sparkml_dist.graphical.graph import Parents
from sparkml_dist.graphical.structures.arc_limits import ArcLimits
from sparkml_dist.graphical.structures.family_scores import FamilyScores

__all__ = ["order_search"]

_LEAST_GAIN = 1e-9
_MOST_SWAPS = 10_000

Choice = tuple[float, tuple[int, ...]]


def order_search(scores: FamilyScores, limits: ArcLimits, order: Sequence[int]) -> Parents:
    """Swap neighbours in an order of the variables as long as that raises the score.

    Parameters
    ----------
    scores : FamilyScores
    limits : ArcLimits
    order : sequence of int
        Parents of required arcs come before their children.

    Returns
    -------
    tuple of tuple of int
        The graph of the last order.

    Notes
    -----
    A swap changes what two variables may have as parents. Each chooses its parents among those
    before it by adding and removing the best, one at a time. As in `hill_climbing`, the search runs
    ahead on the counts that are known before others are counted.

    References
    ----------
    Teyssier, Koller (2005), "Ordering-based search: a simple and effective algorithm for learning
    Bayesian networks", UAI.
    """
    search = _Orders(scores, limits)
    current = list(order)
    for _ in range(_MOST_SWAPS):
        swap = search.best_swap(current)
        while scores.wanted:
            ahead = list(current)
            for _ in range(len(current)):
                if swap is None:
                    break
                ahead = _swapped(ahead, swap)
                swap = search.best_swap(ahead)
            scores.count_wanted()
            swap = search.best_swap(current)
        if swap is None:
            break
        current = _swapped(current, swap)
    found: list[tuple[int, ...]] = [()] * len(current)
    for i, child in enumerate(current):
        found[child] = search.choose(child, current[:i])[1]
    return tuple(found)


def _swapped(order: list[int], at: int) -> list[int]:
    return [*order[:at], order[at + 1], order[at], *order[at + 2 :]]


class _Orders:
    """Chooses parents among the variables before one, and remembers the choices."""

    def __init__(self, scores: FamilyScores, limits: ArcLimits) -> None:
        self.scores = scores
        self.limits = limits
        self.chosen: dict[tuple[int, bytes], Choice] = {}

    def best_swap(self, order: list[int]) -> int | None:
        """Return the first of the two neighbours whose swap raises the score most."""
        best, at = _LEAST_GAIN, None
        for i in range(len(order) - 1):
            a, b = order[i], order[i + 1]
            if self.limits.required[a, b]:
                continue
            before = order[:i]
            gain = (
                self.choose(b, before)[0]
                + self.choose(a, [*before, b])[0]
                - self.choose(a, before)[0]
                - self.choose(b, [*before, a])[0]
            )
            if gain > best:
                best, at = gain, i
        return at

    def choose(self, child: int, before: Sequence[int]) -> Choice:
        """Return score and parents of a variable; `scores.wanted` holds what was not known."""
        allowed: npt.NDArray[np.bool_] = np.zeros(len(self.limits.required), bool)
        allowed[list(before)] = True
        allowed &= ~self.limits.forbidden[:, child]
        key = (child, allowed.tobytes())
        found = self.chosen.get(key)
        if found is None:
            found, known = self._choose(child, allowed)
            if known:
                self.chosen[key] = found
        return found

    def _choose(self, child: int, allowed: npt.NDArray[np.bool_]) -> tuple[Choice, bool]:
        scores, fixed = self.scores, self.limits.required[:, child]
        parents = tuple(int(p) for p in np.flatnonzero(fixed))
        known = True
        mine = scores.family(child, parents)
        if mine is None:
            scores.wanted.add(tuple(sorted((child, *parents[:-1]))))
            return (-np.inf, parents), False
        while True:
            best, better = mine + _LEAST_GAIN, None
            if len(parents) < self.limits.most_parents:
                more = scores.additions(child, parents)
                if more is None:
                    known = False
                else:
                    gains = np.where(allowed, more, -np.inf)
                    at = int(gains.argmax())
                    if gains[at] > best:
                        best, better = float(gains[at]), tuple(sorted((*parents, at)))
            for i, parent in enumerate(parents):
                if fixed[parent]:
                    continue
                rest = (*parents[:i], *parents[i + 1 :])
                value = scores.family(child, rest)
                if value is None:
                    scores.wanted.add(tuple(sorted((child, *rest[:-1]))))
                    known = False
                elif value > best:
                    best, better = value, rest
            if better is None:
                return (mine, parents), known
            mine, parents = best, better
