"""How the trials of an ensemble are weighted: greedily, or stacked by the least loss."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sparkml_dist.dataset.hashing import uniform
from sparkml_dist.ensemble.voting.mixture import mixture_weights, simplex_least_squares
from sparkml_dist.members.greedy import Selection, select
from sparkml_dist.members.held_out import HeldOutRows
from sparkml_dist.metrics.scores import is_better, score_rows

__all__ = ["METHODS", "better_method", "cross_validated", "ensemble_weights", "weighted_mean"]

#: ``"best"`` is the one of the other two that scores better in a cross-validation.
METHODS = ("best", "greedy", "stacked")

_STEPS = 40
_FOLDS = 3
# A trial with less weight costs predictions, and gains nothing.
_LEAST_WEIGHT = 0.01
# After so many steps of expectation maximisation the log loss hardly changes.
_MIXTURE_STEPS = 2_000

Array = npt.NDArray[np.float64]


def ensemble_weights(method: str, rows: HeldOutRows, metric: str, seed: int) -> Array:
    """Return the weight of each trial in the mean of their outputs.

    Parameters
    ----------
    method : {"greedy", "stacked"}
        ``"greedy"`` adds the trial, from the best one on, with which the mean scores best by the
        metric, and counts how often. ``"stacked"`` finds the non-negative weights whose mean has
        the least log loss, or squared error for numbers.
    rows : HeldOutRows
        Outputs of the trials on rows that they have not seen.
    metric : str
    seed : int

    Returns
    -------
    ndarray of shape (n_trials,)
        Non-negative, with sum 1.

    References
    ----------
    Caruana, Niculescu-Mizil, Crew, Ksikes (2004), "Ensemble selection from libraries of models".
    Breiman (1996), "Stacked regressions". Van der Laan, Polley, Hubbard (2007), "Super learner".
    """
    if method == "greedy":
        counts, _ = select(rows, Selection(metric, _STEPS, 1, 1, 1.0, seed))
        return np.asarray(counts, np.float64) / sum(counts)
    if rows.outputs.ndim == 3:
        given = rows.outputs[np.arange(len(rows.y)), :, rows.y]
        weights = mixture_weights(given, rows.weight, steps=_MIXTURE_STEPS)
    else:
        errors = rows.outputs.astype(np.float64) - rows.y[:, None]
        moments = (errors * rows.weight[:, None]).T @ errors / rows.weight.sum()
        weights = simplex_least_squares(moments)
    weights = np.where(weights >= min(_LEAST_WEIGHT, weights.max()), weights, 0.0)
    found: Array = weights / weights.sum()
    return found


def weighted_mean(rows: HeldOutRows, weights: Array) -> Array:
    """Return the weighted mean of the trials' outputs, shape (n, n_classes) or (n,)."""
    mean: Array = np.tensordot(rows.outputs.astype(np.float64), weights, axes=(1, 0))
    return mean


def cross_validated(
    rows: HeldOutRows, key: npt.NDArray[np.int64], metric: str, seed: int
) -> dict[str, float]:
    """Return the score of each method on rows that its weights were not found on.

    Parameters
    ----------
    rows : HeldOutRows
    key : ndarray of shape (n,)
        Keys of the rows, which decide on their folds: rows of one key stay together.
    metric : str
    seed : int

    Returns
    -------
    dict of str to float
        The mean over the folds where both methods have a score; empty if there is none.
    """
    fold = np.floor(_FOLDS * uniform(key, seed, "ensemble folds"))
    scores: dict[str, list[float]] = {"greedy": [], "stacked": []}
    for out in range(_FOLDS):
        fitting, scored = _part(rows, fold != out), _part(rows, fold == out)
        if not (len(fitting.y) and len(scored.y)):
            continue
        for method, found in scores.items():
            mean = weighted_mean(scored, ensemble_weights(method, fitting, metric, seed))
            found.append(score_rows(metric, scored.y, mean, scored.weight))
    defined = np.isfinite(list(scores.values())).all(axis=0)
    if not defined.any():
        return {}
    return {m: float(np.mean(np.array(found)[defined])) for m, found in scores.items()}


def better_method(scores: dict[str, float], metric: str) -> str:
    """Return the method with the better score; the greedy one unless the other is better."""
    if scores and is_better(metric, scores["stacked"], scores["greedy"]):
        return "stacked"
    return "greedy"


def _part(rows: HeldOutRows, chosen: npt.NDArray[np.bool_]) -> HeldOutRows:
    return HeldOutRows(rows.outputs[chosen], rows.y[chosen], rows.weight[chosen])
