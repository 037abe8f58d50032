"""Scores of predictions in memory, by name; for some a larger value is better."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError, nearest

__all__ = ["CLASSIFICATION_SCORES", "REGRESSION_SCORES", "check_score", "is_better", "score_rows"]

CLASSIFICATION_SCORES = ("auc", "log_loss", "accuracy")
REGRESSION_SCORES = ("rmse", "mae", "r2")
_SMALLER = ("log_loss", "rmse", "mae")
_EPSILON = float(np.finfo(np.float64).eps)


def check_score(name: str, param: str, *, regression: bool) -> None:
    """Raise unless a score with this name exists for the task.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    known = REGRESSION_SCORES if regression else CLASSIFICATION_SCORES
    if name not in known:
        raise ConfigurationError(
            "invalid_param",
            f"{param} must be one of {', '.join(known)}. Got {name!r}.{nearest(name, known)}",
        )


def is_better(name: str, score: float, than: float, by: float = 0.0) -> bool:
    """Tell whether a score is better than another by more than `by`."""
    return than - score > by if name in _SMALLER else score - than > by


def score_rows(
    name: str,
    y: npt.NDArray[Any],
    predicted: npt.NDArray[np.float64],
    weight: npt.NDArray[Any] | None = None,
) -> float:
    """Compute a score.

    Parameters
    ----------
    name : {"auc", "log_loss", "accuracy", "rmse", "mae", "r2"}
        ``auc`` is that of the second class of two; for more, the mean over the classes that occur,
        each against the rest.
    y : ndarray of shape (n,)
        Class codes, or targets.
    predicted : ndarray of shape (n, n_classes), or (n,) for a regression
        Probabilities (any positive multiple of them), or predictions.
    weight : ndarray of shape (n,), optional

    Returns
    -------
    float
        NaN if it is not defined, such as the AUC of a single class.
    """
    w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
    if name in REGRESSION_SCORES:
        return _regression(name, y, predicted, w)
    if name == "accuracy":
        return float(np.average(predicted.argmax(axis=1) == y, weights=w))
    total = predicted.sum(axis=1, keepdims=True)
    proba = np.divide(
        predicted, total, out=np.full(predicted.shape, 1 / predicted.shape[1]), where=total > 0
    )
    if name == "log_loss":
        given = np.clip(proba[np.arange(len(y)), y], _EPSILON, 1.0)
        return float(np.average(-np.log(given), weights=w))
    return _area(y, proba, w)


def _area(y: npt.NDArray[Any], proba: npt.NDArray[np.float64], w: npt.NDArray[Any]) -> float:
    from sklearn.metrics import roc_auc_score

    positives = [1] if proba.shape[1] == 2 else range(proba.shape[1])
    areas = [
        roc_auc_score(y == k, proba[:, k], sample_weight=w)
        for k in positives
        if 0 < (y == k).mean() < 1
    ]
    return float(np.mean(areas)) if areas else float("nan")


def _regression(
    name: str, y: npt.NDArray[Any], predicted: npt.NDArray[np.float64], w: npt.NDArray[Any]
) -> float:
    error = y - predicted
    if name == "mae":
        return float(np.average(np.abs(error), weights=w))
    squared = float(np.average(error**2, weights=w))
    if name == "rmse":
        return float(np.sqrt(squared))
    spread = float(np.average((y - np.average(y, weights=w)) ** 2, weights=w))
    return 1.0 - squared / spread if spread > 0 else float("nan")
