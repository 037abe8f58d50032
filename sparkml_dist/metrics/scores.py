"""Scores of predictions in memory, by name; for some a larger value is better."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError, nearest

__all__ = [
    "ALL_CLASSIFICATION_SCORES",
    "ALL_REGRESSION_SCORES",
    "CLASSIFICATION_SCORES",
    "REGRESSION_SCORES",
    "as_loss",
    "check_score",
    "is_better",
    "score_rows",
]

CLASSIFICATION_SCORES = ("auc", "log_loss", "accuracy")
REGRESSION_SCORES = ("rmse", "mae", "r2")
ALL_CLASSIFICATION_SCORES = (
    *CLASSIFICATION_SCORES,
    "balanced_accuracy",
    "f1",
    "average_precision",
    "brier",
    "mcc",
)
ALL_REGRESSION_SCORES = (*REGRESSION_SCORES, "mape", "medae", "rmsle")
_SMALLER = ("log_loss", "brier", "rmse", "mae", "mape", "medae", "rmsle")
# What scikit-learn calls them, where the nearest name would not lead there.
_ALSO_CALLED = {
    "roc_auc": "auc",
    "matthews_corrcoef": "mcc",
    "f1_macro": "f1",
    "mse": "rmse",
    "neg_mean_squared_error": "rmse",
    "neg_mean_absolute_error": "mae",
    "neg_median_absolute_error": "medae",
    "median_absolute_error": "medae",
    "mean_absolute_percentage_error": "mape",
    "neg_mean_absolute_percentage_error": "mape",
    "neg_root_mean_squared_log_error": "rmsle",
}
_EPSILON = float(np.finfo(np.float64).eps)


def check_score(name: str, param: str, *, regression: bool, every: bool = False) -> None:
    """Raise unless a score with this name exists for the task.

    Parameters
    ----------
    name : str
    param : str
        The Param or argument that names it.
    regression : bool
    every : bool, default=False
        Accept all scores, not only those that members are chosen and stopped by.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    known: tuple[str, ...]
    other: tuple[str, ...]
    if regression:
        known = ALL_REGRESSION_SCORES if every else REGRESSION_SCORES
        other = ALL_CLASSIFICATION_SCORES
    else:
        known = ALL_CLASSIFICATION_SCORES if every else CLASSIFICATION_SCORES
        other = ALL_REGRESSION_SCORES
    if name in known:
        return
    meant = _ALSO_CALLED.get(name)
    near = f" Did you mean {meant!r}?" if meant in known else nearest(name, known)
    if name in other:
        near = f" That is for {'classes' if regression else 'numbers'}."
    raise ConfigurationError(
        "invalid_param",
        f"{param} must be one of {', '.join(known)}. Got {name!r}.{near}",
    )


def is_better(name: str, score: float, than: float, by: float = 0.0) -> bool:
    """Tell whether a score is better than another by more than `by`."""
    return than - score > by if name in _SMALLER else score - than > by


def as_loss(name: str, score: float) -> float:
    """Return a score as a loss, of which less is better; infinite for NaN."""
    if math.isnan(score):
        return math.inf
    return score if name in _SMALLER else -score


def score_rows(
    name: str,
    y: npt.NDArray[Any],
    predicted: npt.NDArray[np.float64],
    weight: npt.NDArray[Any] | None = None,
) -> float:
    """Compute a score.

    Parameters
    ----------
    name : str
        One of ``ALL_CLASSIFICATION_SCORES`` or ``ALL_REGRESSION_SCORES``. ``auc``, ``f1`` and
        ``average_precision`` are those of the second class of two; for more, the mean over the
        classes that occur, each against the rest. ``brier`` is the mean squared error of the
        probability of the second class of two; for more, the sum of those of all classes. ``mcc``
        is Matthews' correlation coefficient, ``mape`` the mean absolute error relative to the
        target (a share), ``medae`` the median absolute error, ``rmsle`` the root mean squared
        error of log(1 + target).
    y : ndarray of shape (n,)
        Class codes, or targets.
    predicted : ndarray of shape (n, n_classes), or (n,) for a regression
        Probabilities (any positive multiple of them), or predictions.
    weight : ndarray of shape (n,), optional

    Returns
    -------
    float
        NaN if it is not defined, such as the AUC of a single class, or the logarithm of a negative
        prediction.
    """
    w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
    if name in ALL_REGRESSION_SCORES:
        return _regression(name, y, predicted, w)
    if name == "accuracy":
        return float(np.average(predicted.argmax(axis=1) == y, weights=w))
    if name in ("balanced_accuracy", "f1", "mcc"):
        return _of_classes(name, y, predicted.argmax(axis=1), w, predicted.shape[1])
    total = predicted.sum(axis=1, keepdims=True)
    proba = np.divide(
        predicted, total, out=np.full(predicted.shape, 1 / predicted.shape[1]), where=total > 0
    )
    if name == "log_loss":
        given = np.clip(proba[np.arange(len(y)), y], _EPSILON, 1.0)
        return float(np.average(-np.log(given), weights=w))
    if name == "brier":
        squared = (proba - np.eye(proba.shape[1])[y]) ** 2
        errors = squared[:, 1] if proba.shape[1] == 2 else squared.sum(axis=1)
        return float(np.average(errors, weights=w))
    return _area(name, y, proba, w)


def _of_classes(
    name: str, y: npt.NDArray[Any], found: npt.NDArray[Any], w: npt.NDArray[Any], n_classes: int
) -> float:
    """Return a score of predicted classes."""
    from sklearn.metrics import balanced_accuracy_score, f1_score, matthews_corrcoef

    with warnings.catch_warnings():
        # Of classes that do not occur, or are not predicted.
        warnings.simplefilter("ignore")
        if name == "balanced_accuracy":
            return float(balanced_accuracy_score(y, found, sample_weight=w))
        if name == "mcc":
            return float(matthews_corrcoef(y, found, sample_weight=w))
        how = {"labels": [1], "average": "macro"} if n_classes == 2 else {"average": "macro"}
        return float(f1_score(y, found, sample_weight=w, zero_division=0.0, **how))


def _area(
    name: str, y: npt.NDArray[Any], proba: npt.NDArray[np.float64], w: npt.NDArray[Any]
) -> float:
    """Return the area under the ROC curve, or under the steps of precision by recall."""
    from sklearn.metrics import average_precision_score

    area = _roc_area if name == "auc" else average_precision_score
    positives = [1] if proba.shape[1] == 2 else range(proba.shape[1])
    areas = [
        area(y == k, proba[:, k], sample_weight=w) for k in positives if 0 < (y == k).mean() < 1
    ]
    return float(np.mean(areas)) if areas else float("nan")


def _roc_area(
    positive: npt.NDArray[np.bool_],
    score: npt.NDArray[np.float64],
    *,
    sample_weight: npt.NDArray[np.float64],
) -> float:
    """Return the share of pairs of a positive and another row that the score ranks rightly.

    It is scikit-learn's ``roc_auc_score``, which a greedy selection would spend its time in: with
    all its checks that takes ten times as long.
    """
    if not np.isfinite(score).all():
        raise ValueError("A probability is NaN or infinite.")
    order = np.argsort(score)
    ends = np.flatnonzero(np.append(np.diff(score[order]) > 0, True))  # of rows that are tied
    weight = sample_weight[order]
    of_positives = np.diff(np.cumsum(weight * positive[order])[ends], prepend=0.0)
    others = np.cumsum(weight * ~positive[order])[ends]
    below = others - np.diff(others, prepend=0.0) / 2
    pairs = of_positives.sum() * others[-1]
    return float(of_positives @ below / pairs) if pairs > 0 else float("nan")


def _regression(
    name: str, y: npt.NDArray[Any], predicted: npt.NDArray[np.float64], w: npt.NDArray[Any]
) -> float:
    error = y - predicted
    if name in ("mape", "medae"):
        from sklearn.metrics import mean_absolute_percentage_error, median_absolute_error

        score = mean_absolute_percentage_error if name == "mape" else median_absolute_error
        return float(score(y, predicted, sample_weight=w))
    if name == "rmsle":
        if min(np.min(y), np.min(predicted)) <= -1:
            return float("nan")
        error = np.log1p(y) - np.log1p(predicted)
        return float(np.sqrt(np.average(error**2, weights=w)))
    if name == "mae":
        return float(np.average(np.abs(error), weights=w))
    squared = float(np.average(error**2, weights=w))
    if name == "rmse":
        return float(np.sqrt(squared))
    spread = float(np.average((y - np.average(y, weights=w)) ** 2, weights=w))
    return 1.0 - squared / spread if spread > 0 else float("nan")
