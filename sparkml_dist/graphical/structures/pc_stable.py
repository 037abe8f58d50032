"""The structure that tests of independence show: PC-stable."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from sparkml_dist.graphical.counting.block_counts import Target
from sparkml_dist.graphical.counting.family_counts import FamilyCounts
from sparkml_dist.graphical.graph import Parents
from sparkml_dist.graphical.independence import TestName, independence_test
from sparkml_dist.graphical.structures.arc_limits import ArcLimits
from sparkml_dist.graphical.structures.orientation import directed, extended, v_structures

__all__ = ["PartialGraph", "benjamini_hochberg", "pc_stable"]

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PartialGraph:
    """Result of PC-stable.

    Attributes
    ----------
    parents : tuple of tuple of int
        A graph without cycles in which the undirected edges have a direction.
    directed : tuple of (int, int)
        Arcs whose direction the tests show.
    undirected : tuple of (int, int)
        Edges that may have either direction.
    tests : int
        Number of tests.
    """

    parents: Parents
    directed: tuple[tuple[int, int], ...]
    undirected: tuple[tuple[int, int], ...]
    tests: int


def pc_stable(
    counts: FamilyCounts,
    limits: ArcLimits,
    *,
    test: TestName = "x2",
    alpha: float = 0.05,
    correction: bool = False,
    most_conditions: int | None = None,
) -> PartialGraph:
    """Remove edges between variables that are independent given others, and direct the rest.

    Parameters
    ----------
    counts : FamilyCounts
        With all pairs counted; what is missing is counted, in one pass for each level.
    limits : ArcLimits
    test : {"x2", "g2", "mi"}
    alpha : float, default=0.05
        Level of a test, or the false discovery rate.
    correction : bool, default=False
        Whether edges are kept by Benjamini and Hochberg's procedure over all edges, each with the
        greatest p that a test of it had.
    most_conditions : int, optional
        Most variables that a test conditions on.

    Returns
    -------
    PartialGraph

    References
    ----------
    Colombo, Maathuis (2014), "Order-independent constraint-based causal structure learning", JMLR
    15. Li, Wang (2009), "Controlling the false discovery rate of the association/causality
    structure learned with the PC algorithm", JMLR 10.
    """
    d = len(counts.variables)
    fixed = limits.required | limits.required.T
    adjacent = ~(limits.forbidden & limits.forbidden.T) | fixed
    np.fill_diagonal(adjacent, False)
    largest = np.zeros((d, d))  # greatest p of each pair
    apart: dict[tuple[int, int], tuple[int, ...]] = {}
    tests = level = 0
    while most_conditions is None or level <= most_conditions:
        plan = _plan(adjacent, fixed, level)
        if not any(plan.values()):
            break
        _count(counts, plan)
        for pair, conditions in plan.items():
            for given in conditions:
                p = _p_value(counts, *pair, given, test)
                tests += 1
                if p > largest[pair] or pair not in apart:
                    largest[pair] = max(p, largest[pair])
                    apart[pair] = given
        weak = _weak(largest, adjacent, alpha, correction=correction) & ~fixed
        adjacent &= ~(weak | weak.T)
        level += 1
    separators = {pair: given for pair, given in apart.items() if not adjacent[pair]}
    arrows = v_structures(adjacent, separators, limits)
    arrows = directed(adjacent, arrows, limits)
    both = adjacent & ~(arrows | arrows.T)
    return PartialGraph(
        extended(adjacent, arrows, limits),
        tuple((int(a), int(b)) for a, b in np.argwhere(arrows & adjacent)),
        tuple((int(a), int(b)) for a, b in np.argwhere(np.triu(both))),
        tests,
    )


def _plan(
    adjacent: Bools, fixed: Bools, level: int
) -> dict[tuple[int, int], list[tuple[int, ...]]]:
    """Return for each pair the sets that a level conditions on; the graph stays as it is."""
    found: dict[tuple[int, int], list[tuple[int, ...]]] = {}
    beside = [[int(v) for v in np.flatnonzero(row)] for row in adjacent]
    for a, b in np.argwhere(np.triu(adjacent & ~fixed)):
        a, b = int(a), int(b)
        sets: dict[tuple[int, ...], None] = {}
        for here, other in ((a, b), (b, a)):
            sets.update(dict.fromkeys(combinations([v for v in beside[here] if v != other], level)))
        found[a, b] = list(sets)
    return found


def _count(counts: FamilyCounts, plan: dict[tuple[int, int], list[tuple[int, ...]]]) -> None:
    """Count what a level needs, one base for the tests of a variable under equal conditions."""
    wanted: dict[tuple[int, ...], set[int]] = {}
    for (a, b), conditions in plan.items():
        for given in conditions:
            if counts.table((a, b, *given)) is None:
                wanted.setdefault(tuple(sorted((a, *given))), set()).add(b)
    counts.count(Target(base, tuple(sorted(others))) for base, others in sorted(wanted.items()))


def _p_value(counts: FamilyCounts, a: int, b: int, given: tuple[int, ...], test: TestName) -> float:
    family = tuple(sorted((a, b, *given)))
    table = counts.table(family)
    assert table is not None
    moved = np.moveaxis(table, (family.index(a), family.index(b)), (0, 1))
    return independence_test(moved.reshape(*moved.shape[:2], -1), test).p


def _weak(
    largest: npt.NDArray[np.float64], adjacent: Bools, alpha: float, *, correction: bool
) -> Bools:
    """Tell which edges have a p too great to be kept."""
    found = np.zeros(adjacent.shape, bool)
    upper = np.triu(np.ones(adjacent.shape, bool), 1)
    if correction:
        found[upper] = ~benjamini_hochberg(largest[upper], alpha)
    else:
        found[upper] = largest[upper] > alpha
    return found & adjacent


def benjamini_hochberg(p: npt.ArrayLike, rate: float) -> Bools:
    """Tell which hypotheses are rejected at a false discovery rate.

    Parameters
    ----------
    p : array_like of float, shape (n,)
    rate : float

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    values = np.asarray(p, np.float64)
    order = np.argsort(values, kind="stable")
    steps = rate * np.arange(1, len(values) + 1) / max(1, len(values))
    below = np.flatnonzero(values[order] <= steps)
    found = np.zeros(len(values), bool)
    if len(below):
        found[order[: int(below[-1]) + 1]] = True
    return found
