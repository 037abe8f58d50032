"""The best of all graphs, by dynamic programming over sets of variables."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.graphical.counting.block_counts import Target
from sparkml_dist.graphical.graph import Parents
from sparkml_dist.graphical.structures.arc_limits import ArcLimits
from sparkml_dist.graphical.structures.family_scores import FamilyScores

__all__ = ["MOST_VARIABLES", "exact_search"]

#: Most variables; the time doubles with each.
MOST_VARIABLES = 20

Floats = npt.NDArray[np.float64]


def check_exact(size: int) -> None:
    """Raise unless there are few enough variables.

    Raises
    ------
    ConfigurationError
        ``too_many_variables``.
    """
    if size > MOST_VARIABLES:
        raise ConfigurationError(
            "too_many_variables",
            f"An exact search takes at most {MOST_VARIABLES} variables. Got {size}.",
            "Use structure='hill-climbing', or fewer columns.",
        )


def exact_search(scores: FamilyScores, limits: ArcLimits) -> Parents:
    """Return the graph with the greatest score of all that the limits allow.

    Parameters
    ----------
    scores : FamilyScores
    limits : ArcLimits

    Returns
    -------
    tuple of tuple of int

    Raises
    ------
    ConfigurationError
        ``too_many_variables`` for more than 20.
    DataError
        ``too_many_cells`` where a family that must be counted has too many.

    Notes
    -----
    The best graph of a set of variables has a variable without children in it: the best graph of
    the others, and the best parents among them. Memory: 8 bytes for each set and each variable.

    References
    ----------
    Silander, Myllymäki (2006), "A simple approach for finding the globally optimal Bayesian network
    structure", UAI.
    """
    d = len(limits.required)
    check_exact(d)
    most = min(limits.most_parents, d - 1)
    scores.counts.count(Target(base) for k in range(1, most + 1) for base in _subsets(d, k))
    by_set = [_family_scores(scores, limits, child, most) for child in range(d)]
    best_of = [_best_within(own) for own in by_set]
    order = _best_order(best_of)
    parents: list[tuple[int, ...]] = [()] * d
    before = 0
    for child in order:
        inside = np.arange(1 << d)
        inside = inside[(inside & ~before) == 0]
        chosen = int(inside[by_set[child][inside].argmax()])
        parents[child] = tuple(v for v in range(d) if chosen >> v & 1)
        before |= 1 << child
    return tuple(parents)


def _subsets(d: int, size: int) -> list[tuple[int, ...]]:
    return list(combinations(range(d), size))


def _family_scores(scores: FamilyScores, limits: ArcLimits, child: int, most: int) -> Floats:
    """Return the score of a child with each set of parents, by bit mask; -inf if not allowed."""
    d = len(limits.required)
    found = np.full(1 << d, -np.inf)
    alone = scores.family(child, ())
    assert alone is not None
    found[0] = alone
    others = [v for v in range(d) if v != child and not limits.forbidden[v, child]]
    for k in range(most):
        for parents in combinations(others, k):
            more = scores.additions(child, parents)
            assert more is not None
            mask = sum(1 << v for v in parents)
            for v in others:
                if v > (parents[-1] if parents else -1):
                    found[mask | 1 << v] = more[v]
    needed = sum(1 << int(v) for v in np.flatnonzero(limits.required[:, child]))
    if needed:
        found[(np.arange(1 << d) & needed) != needed] = -np.inf
    return found


def _best_within(own: Floats) -> Floats:
    """Return the best score of each set of candidates: of any of its subsets as parents."""
    best = own.copy()
    size = len(best)
    step = 1
    while step < size:
        view = best.reshape(-1, 2, step)
        np.maximum(view[:, 1], view[:, 0], out=view[:, 1])
        step *= 2
    return best


def _best_order(best_of: list[Floats]) -> list[int]:
    """Return the variables of the best graph, parents before children."""
    d = len(best_of)
    sets = np.arange(1 << d)
    sizes = np.zeros(1 << d, np.int8)
    for v in range(d):
        sizes += (sets >> v & 1).astype(np.int8)
    total = np.full(1 << d, -np.inf)
    last = np.full(1 << d, -1, np.int8)
    total[0] = 0.0
    for size in range(1, d + 1):
        here = sets[sizes == size]
        for v in range(d):
            inside = here[(here >> v & 1) == 1]
            rest = inside ^ (1 << v)
            value = total[rest] + best_of[v][rest]
            better = (value > total[inside]) | (last[inside] < 0)
            total[inside[better]] = value[better]
            last[inside[better]] = v
    order: list[int] = []
    left = (1 << d) - 1
    while left:
        order.append(int(last[left]))
        left ^= 1 << order[-1]
    return order[::-1]
