"""The tree that fits best: a maximum spanning tree of mutual informations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparkml_dist.graphical.counting.family_counts import FamilyCounts
from sparkml_dist.graphical.graph import Parents, tree_from_edges
from sparkml_dist.graphical.scores import mutual_information

__all__ = ["Tree", "chow_liu", "spanning_tree"]


@dataclass(frozen=True)
class Tree:
    """A tree with the mutual information of each of its edges.

    Attributes
    ----------
    parents : tuple of tuple of int
        The edges lead away from the root.
    edges : tuple of (int, int)
        The lower variable first; the heaviest edge first.
    weights : tuple of float
        In nats.
    """

    parents: Parents
    edges: tuple[tuple[int, int], ...]
    weights: tuple[float, ...]


def chow_liu(counts: FamilyCounts, root: int = 0) -> Tree:
    """Return the tree of the greatest likelihood.

    Parameters
    ----------
    counts : FamilyCounts
        With all pairs counted.
    root : int, default=0

    Returns
    -------
    Tree

    References
    ----------
    Chow, Liu (1968), "Approximating discrete probability distributions with dependence trees", IEEE
    Transactions on Information Theory 14.
    """
    weights = mutual_information(counts)
    edges = spanning_tree(weights)
    return Tree(
        tree_from_edges(len(weights), edges, root),
        tuple(edges),
        tuple(float(weights[a, b]) for a, b in edges),
    )


def spanning_tree(weights: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
    """Return the edges of a maximum spanning tree, by Kruskal's algorithm, the heaviest first.

    Of equally heavy edges, the one of the lower variables comes first.

    Parameters
    ----------
    weights : ndarray of float, shape (d, d)
        Symmetric, >= 0.
    """
    size = len(weights)
    above, below = np.triu_indices(size, 1)
    order = np.argsort(-weights[above, below], kind="stable")
    root = list(range(size))

    def find(node: int) -> int:
        while root[node] != node:
            root[node] = root[root[node]]
            node = root[node]
        return node

    found: list[tuple[int, int]] = []
    for at in order:
        a, b = int(above[at]), int(below[at])
        top, other = find(a), find(b)
        if top != other:
            root[other] = top
            found.append((a, b))
            if len(found) == size - 1:
                break
    return found
