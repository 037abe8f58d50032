"""Names of scores, written out for axes."""

from __future__ import annotations

__all__ = ["score_name"]

_NAMES = {
    "auc": "area under the ROC curve",
    "log_loss": "log loss (nats)",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "f1": "F1",
    "average_precision": "average precision",
    "brier": "Brier score",
    "mcc": "Matthews' correlation coefficient",
    "rmse": "root mean squared error",
    "mae": "mean absolute error",
    "r2": "R²",
    "mape": "mean absolute relative error",
    "medae": "median absolute error",
    "rmsle": "root mean squared logarithmic error",
}


def score_name(metric: str) -> str:
    """Return a score's name for an axis; what it is called if it has no other."""
    return _NAMES.get(metric, metric)
