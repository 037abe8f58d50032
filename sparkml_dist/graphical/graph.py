"""Directed graphs as tuples of parents, and what is asked of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError

__all__ = [
    "Parents",
    "acyclic_order",
    "ancestors",
    "arcs_of",
    "find_cycle",
    "model_string",
    "parents_of",
    "tree_from_edges",
]

#: The parents of each variable, ascending.
Parents = tuple[tuple[int, ...], ...]


def parents_of(size: int, arcs: Iterable[tuple[int, int]]) -> Parents:
    """Return the graph of pairs (parent, child)."""
    found: list[set[int]] = [set() for _ in range(size)]
    for parent, child in arcs:
        found[child].add(parent)
    return tuple(tuple(sorted(p)) for p in found)


def arcs_of(parents: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Return the arcs as pairs (parent, child), sorted."""
    return sorted((p, child) for child, of in enumerate(parents) for p in of)


def find_cycle(parents: Sequence[Sequence[int]]) -> list[int]:
    """Return the variables of a cycle along its arcs, or an empty list where there is none."""
    state = [0] * len(parents)
    for start in range(len(parents)):
        path: list[tuple[int, int]] = [(start, 0)]
        while path:
            node, at = path.pop()
            if at == 0:
                if state[node] == 2:
                    continue
                state[node] = 1
            if at == len(parents[node]):
                state[node] = 2
                continue
            path.append((node, at + 1))
            above = parents[node][at]
            if state[above] == 1:
                trail = [n for n, _ in path]
                return [above, *reversed(trail[trail.index(above) + 1 :])]
            if state[above] == 0:
                path.append((above, 0))
    return []


def acyclic_order(
    parents: Sequence[Sequence[int]], names: Sequence[str], what: str = "The graph"
) -> list[int]:
    """Return the variables in an order in which parents come before children.

    Among those that may come next, the one with the least position comes first.

    Raises
    ------
    ConfigurationError
        ``cycle``, with the names of the variables on it.
    """
    cycle = find_cycle(parents)
    if cycle:
        shown = " → ".join(names[v] for v in [*cycle, cycle[0]])
        raise ConfigurationError(
            "cycle", f"{what} has a cycle: {shown}.", "Leave one of these arcs out."
        )
    left = [set(p) for p in parents]
    order: list[int] = []
    todo = set(range(len(parents)))
    while todo:
        node = min(v for v in todo if not left[v])
        todo.remove(node)
        order.append(node)
        for other in todo:
            left[other].discard(node)
    return order


def ancestors(parents: Sequence[Iterable[int]]) -> npt.NDArray[np.bool_]:
    """Return which variables precede which: ``[a, b]`` tells whether a path leads from a to b.

    Returns
    -------
    ndarray of bool, shape (d, d)
        False on the diagonal of an acyclic graph.
    """
    size = len(parents)
    found = np.zeros((size, size), bool)
    done = [False] * size

    def close(node: int) -> None:
        stack = [node]
        while stack:
            top = stack[-1]
            waiting = [p for p in parents[top] if not done[p]]
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            if not done[top]:
                for p in parents[top]:
                    found[:, top] |= found[:, p]
                    found[p, top] = True
                done[top] = True

    for node in range(size):
        close(node)
    return found


def model_string(parents: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """Return a graph as ``[A][B|A][C|A:B]``, in the order of the variables."""
    return "".join(
        f"[{names[v]}{'|' if of else ''}{':'.join(names[p] for p in of)}]"
        for v, of in enumerate(parents)
    )


def tree_from_edges(size: int, edges: Iterable[tuple[int, int]], root: int = 0) -> Parents:
    """Return the graph of an undirected forest whose edges lead away from roots.

    Parameters
    ----------
    size : int
        Number of variables.
    edges : iterable of (int, int)
    root : int, default=0
        Root of its tree; that of another tree is its variable with the least position.
    """
    beside: list[list[int]] = [[] for _ in range(size)]
    for a, b in edges:
        beside[a].append(b)
        beside[b].append(a)
    parents: list[tuple[int, ...]] = [()] * size
    seen: set[int] = set()
    for first in [root, *range(size)]:
        if first in seen:
            continue
        seen.add(first)
        todo = [first]
        while todo:
            node = todo.pop()
            for other in sorted(beside[node]):
                if other not in seen:
                    seen.add(other)
                    parents[other] = (node,)
                    todo.append(other)
    return tuple(parents)
