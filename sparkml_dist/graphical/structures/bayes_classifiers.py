"""Structures around a class: Naive Bayes, and Naive Bayes augmented by a tree."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkml_dist.graphical.counting.block_counts import Target
from sparkml_dist.graphical.counting.family_counts import FamilyCounts
from sparkml_dist.graphical.graph import Parents, tree_from_edges
from sparkml_dist.graphical.structures.chow_liu import spanning_tree

__all__ = ["conditional_information", "naive_bayes", "tree_augmented"]


def naive_bayes(size: int, label: int) -> Parents:
    """Return the graph in which the class is the one parent of all other variables."""
    return tuple(() if v == label else (label,) for v in range(size))


def tree_augmented(counts: FamilyCounts, label: int) -> Parents:
    """Return Naive Bayes with a tree among the features that has the greatest likelihood.

    Parameters
    ----------
    counts : FamilyCounts
        What is missing is counted.
    label : int
        The class.

    Returns
    -------
    tuple of tuple of int

    References
    ----------
    Friedman, Geiger, Goldszmidt (1997), "Bayesian network classifiers", Machine Learning 29.
    """
    d = len(counts.variables)
    features = [v for v in range(d) if v != label]
    weights = conditional_information(counts, label)
    inner = weights[np.ix_(features, features)]
    tree = tree_from_edges(len(features), spanning_tree(inner))
    found: list[tuple[int, ...]] = [()] * d
    for i, v in enumerate(features):
        found[v] = tuple(sorted((label, *(features[p] for p in tree[i]))))
    return tuple(found)


def conditional_information(counts: FamilyCounts, given: int) -> npt.NDArray[np.float64]:
    """Return the mutual information of all pairs, given a variable, in nats, shape (d, d).

    Raises
    ------
    DataError
        ``too_many_cells``.
    """
    variables = counts.variables
    d, offsets, cards = len(variables), variables.offsets, variables.cards
    others = [v for v in range(d) if v != given]
    counts.count(Target(tuple(sorted((given, v)))) for v in others)
    found = np.zeros((d, d))
    for v in others:
        block = counts.base(tuple(sorted((given, v))))
        first, last = sorted((given, v))
        block = block.reshape(int(cards[first]), int(cards[last]), -1).astype(np.float64)
        if v == first:
            block = block.transpose(1, 0, 2)
        with_v = np.repeat(np.add.reduceat(block, offsets[:-1], axis=2), cards, axis=2)
        theirs = block.sum(axis=1, keepdims=True)
        both = with_v.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(block > 0, block * np.log(block * both / (with_v * theirs)), 0.0)
        rows = np.repeat(np.add.reduceat(block.sum(axis=(0, 1)), offsets[:-1]), cards)
        found[v] = np.add.reduceat(terms.sum(axis=(0, 1)) / np.maximum(rows, 1), offsets[:-1])
        found[v, [v, given]] = 0.0
    found = np.maximum(found, 0.0)
    return np.triu(found, 1) + np.triu(found, 1).T
