"""Greedy forward selection of an ensemble from a library of members (Caruana et al.)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.hashing import uniform
from sparkml_dist.members.held_out import HeldOutRows
from sparkml_dist.metrics.scores import as_loss, score_rows

__all__ = ["Selection", "select"]

_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Selection:
    """Settings of the selection.

    Attributes
    ----------
    metric : {"auc", "log_loss", "accuracy", "rmse", "mae", "r2"}
    steps : int
        Largest number of members of the ensemble, with repetition.
    initial : int
        Largest number of best members to start with.
    bags : int
        Number of selections, each from another random part of the library.
    bag_fraction : float
        Share of the library in that part.
    seed : int
    """

    metric: str
    steps: int
    initial: int
    bags: int
    bag_fraction: float
    seed: int


def select(rows: HeldOutRows, selection: Selection) -> tuple[list[int], list[list[float]]]:
    """Return the multiplicity of each member of the library in the selected ensemble.

    Parameters
    ----------
    rows : HeldOutRows
        Outputs of all members on held-out rows.
    selection : Selection

    Returns
    -------
    counts : list of int, length n_members
    curves : list of list of float
        For each bag, the score of the ensemble of 1, 2, … members, up to the best.

    References
    ----------
    Caruana, Niculescu-Mizil, Crew, Ksikes (2004), "Ensemble selection from libraries of models".
    """
    n_members = rows.outputs.shape[1]
    scorer = _VoteScorer(rows, selection.metric)
    alone = scorer.scores(scorer.empty, 0, range(n_members))
    counts = np.zeros(n_members, np.int64)
    curves = []
    for bag in range(selection.bags):
        library = _library(n_members, selection, bag)
        path, curve = _greedy_path(scorer, library, alone, selection)
        counts += np.bincount(path, minlength=n_members)
        curves.append(curve)
    return counts.tolist(), curves


def _library(n_members: int, selection: Selection, bag: int) -> list[int]:
    """Return the members that a bag may choose from, at least one."""
    if selection.bags == 1:
        return list(range(n_members))
    draws = uniform(np.arange(n_members), selection.seed, "selection", bag)
    count = max(1, round(selection.bag_fraction * n_members))
    return sorted(np.argsort(draws, kind="stable")[:count].tolist())


def _greedy_path(
    scorer: _VoteScorer, library: list[int], alone: list[float], selection: Selection
) -> tuple[list[int], list[float]]:
    """Return the members of the best ensemble found, in order, and the scores up to it."""
    metric = selection.metric
    ranked = sorted(library, key=lambda m: (_loss(metric, alone[m]), m))
    votes = np.zeros_like(scorer.empty)
    path: list[int] = []
    curve: list[float] = []
    for step in range(selection.steps):
        if step < min(selection.initial, len(ranked)):
            best = ranked[step]
            score = scorer.scores(votes, step, [best])[0]
        else:
            scores = scorer.scores(votes, step, library)
            at = min(range(len(library)), key=lambda i: (_loss(metric, scores[i]), i))
            best, score = library[at], scores[at]
        votes += scorer.outputs(best)
        path.append(best)
        curve.append(score)
    # The first of equally good ensembles is the shortest.
    length = 1 + min(range(len(curve)), key=lambda i: (_loss(metric, curve[i]), i))
    return path[:length], curve[:length]


def _loss(metric: str, score: float) -> float:
    """Return a score as a loss without its last digits, which are those of rounding: ensembles
    that are equally good, such as those that rank rows alike, are tied.
    """
    return float(f"{as_loss(metric, score):.12g}")


class _VoteScorer:
    """Scores an ensemble with one more member."""

    def __init__(self, rows: HeldOutRows, metric: str) -> None:
        self._rows = rows
        self._metric = metric
        self._given: npt.NDArray[Any] | None = None
        n, _, *classes = rows.outputs.shape
        self.empty: npt.NDArray[Any] = np.zeros((n, *classes))
        self._means = not classes  # scores of votes do not depend on their scale, others do
        if metric == "log_loss":
            # The log loss depends only on the true class: one probability per row and member.
            given = rows.outputs[np.arange(n), :, rows.y]
            self._given = np.ascontiguousarray(given.T, np.float64)  # a member's rows together
            self.empty = np.zeros(n)

    def outputs(self, member: int) -> npt.NDArray[Any]:
        """Return a member's contribution to the votes."""
        return self._rows.outputs[:, member] if self._given is None else self._given[member]

    def scores(self, votes: npt.NDArray[Any], size: int, members: Sequence[int]) -> list[float]:
        """Return the scores of an ensemble after adding each of `members`.

        Parameters
        ----------
        votes : ndarray
            Sum of the outputs of its members.
        size : int
            Number of its members.
        members : sequence of int
        """
        y, weight = self._rows.y, self._rows.weight
        if self._means:
            share = 1.0 / (size + 1)
            return [
                score_rows(self._metric, y, (votes + self.outputs(m)) * share, weight)
                for m in members
            ]
        if self._given is None:
            return [score_rows(self._metric, y, votes + self.outputs(m), weight) for m in members]
        found, total = [], weight.sum()
        given = np.empty_like(votes)
        for m in members:
            np.add(votes, self._given[m], out=given)
            given /= size + 1
            np.clip(given, _EPSILON, 1.0, out=given)
            np.log(given, out=given)
            found.append(float(-(given @ weight) / total))
        return found
