"""Directions of edges: v-structures, Meek's rules, and an extension without cycles."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import numpy.typing as npt

from sparkml_dist.graphical.graph import Parents, ancestors
from sparkml_dist.graphical.structures.arc_limits import ArcLimits

__all__ = ["directed", "extended", "v_structures"]

Bools = npt.NDArray[np.bool_]


def v_structures(
    adjacent: Bools, separators: Mapping[tuple[int, int], tuple[int, ...]], limits: ArcLimits
) -> Bools:
    """Return arrows into variables that do not separate two of their neighbours.

    Parameters
    ----------
    adjacent : ndarray of bool, shape (d, d)
    separators : mapping of (int, int) to tuple of int
        What makes two variables independent, by pairs in ascending order.
    limits : ArcLimits
        Required arcs are arrows from the start, and forbidden ones never are.

    Returns
    -------
    ndarray of bool, shape (d, d)
        An arrow that contradicts an earlier one, or closes a cycle, is left out.
    """
    arrows = limits.required & adjacent
    # An edge with one forbidden direction has the other.
    arrows = arrows | (adjacent & limits.forbidden.T & ~limits.forbidden)
    for middle in range(len(adjacent)):
        for a, b in combinations(np.flatnonzero(adjacent[middle]).tolist(), 2):
            if adjacent[a, b] or middle in separators.get((a, b), ()):
                continue
            if all(_may_point(arrows, limits, x, middle) for x in (a, b)):
                arrows[a, middle] = arrows[b, middle] = True
    return arrows


def _may_point(arrows: Bools, limits: ArcLimits, start: int, end: int) -> bool:
    if arrows[end, start] or limits.forbidden[start, end]:
        return False
    return arrows[start, end] or not _reaches(arrows, end, start)


def _reaches(arrows: Bools, start: int, end: int) -> bool:
    seen, todo = {start}, [start]
    while todo:
        for v in np.flatnonzero(arrows[todo.pop()]).tolist():
            if v == end:
                return True
            if v not in seen:
                seen.add(v)
                todo.append(v)
    return False


def directed(adjacent: Bools, arrows: Bools, limits: ArcLimits) -> Bools:
    """Return the arrows with those that follow from them by Meek's rules.

    An edge between b and c becomes b → c where a → b, and a and c are not adjacent; where b → a →
    c; and where two variables that are not adjacent, both joined to b by an edge, have arrows to c.

    References
    ----------
    Meek (1995), "Causal inference and causal explanation with background knowledge", UAI.
    """
    arrows = arrows.copy()
    changed = True
    while changed:
        changed = False
        loose = adjacent & ~arrows & ~arrows.T
        for b, c in np.argwhere(loose).tolist():
            if not (adjacent[b, c] and not arrows[b, c] and not arrows[c, b]):
                continue
            if limits.forbidden[b, c] or _reaches(arrows, c, b):
                continue
            into_b = arrows[:, b] & ~adjacent[:, c]
            into_b[c] = False
            between = arrows[b] & arrows[:, c]
            sides = np.flatnonzero(adjacent[b] & ~arrows[b] & ~arrows[:, b] & arrows[:, c])
            apart = any(not adjacent[x, y] for x, y in combinations(sides.tolist(), 2))
            if into_b.any() or between.any() or apart:
                arrows[b, c] = changed = True
    return arrows


def extended(adjacent: Bools, arrows: Bools, limits: ArcLimits) -> Parents:
    """Return a graph without cycles that keeps the arrows and gives every edge a direction.

    Where it is possible without further v-structures, there are none (Dor and Tarsi 1992).
    """
    d = len(adjacent)
    parents: list[set[int]] = [set(np.flatnonzero(arrows[:, v]).tolist()) for v in range(d)]
    left, found = set(range(d)), arrows.copy()
    while left:
        sink = next((v for v in sorted(left) if _is_sink(adjacent, found, left, v)), None)
        if sink is None:
            break
        for v in left:
            if adjacent[v, sink] and not found[v, sink] and not limits.forbidden[v, sink]:
                parents[sink].add(v)
                found[v, sink] = True
        left.remove(sink)
    for a, b in np.argwhere(np.triu(adjacent)).tolist():
        if found[a, b] or found[b, a]:
            continue
        before = ancestors(parents)
        start, end = (b, a) if before[b, a] or limits.forbidden[a, b] else (a, b)
        parents[end].add(start)
        found[start, end] = True
    return tuple(tuple(sorted(p)) for p in parents)


def _is_sink(adjacent: Bools, arrows: Bools, left: set[int], v: int) -> bool:
    inside = np.zeros(len(adjacent), bool)
    inside[list(left)] = True
    if (arrows[v] & inside).any():
        return False
    near = adjacent[v] & inside
    loose = near & ~arrows[:, v]
    for x in np.flatnonzero(loose).tolist():
        others = near.copy()
        others[x] = False
        if (others & ~adjacent[x]).any():
            return False
    return True
