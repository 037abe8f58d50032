"""Metrics of a classifier."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["ClassificationMetrics", "f1_macro"]


@dataclass(frozen=True, eq=False)
class ClassificationMetrics:
    """Metrics of a classifier on labelled rows.

    Attributes
    ----------
    accuracy : float
        Share of the rows predicted correctly; rows with a label that the model does not know count
        as errors.
    log_loss : float or None
        Mean negative natural logarithm of the predicted probability of the true class.
    roc_auc : float or None
        Area under the ROC curve of the second class of two; for more classes, the mean over the
        classes, each against the rest. None if only one class occurs.
    f1_macro : float
        Mean F1 over the classes that occur as label or prediction.
    rows : int
        All rows.
    unknown_label_rows : int
        Rows whose label is not among the classes; excluded from all metrics except `accuracy`.
    classes : tuple
        The class list.
    confusion : ndarray of shape (n_classes, n_classes)
        Weight (without weights, the number) of the rows of each true class (row) that were
        predicted as each class (column).
    intervals : dict of str to (float, float)
        95% intervals of `accuracy`, `log_loss` and, for two classes, `roc_auc`, for independent
        rows.
    """

    accuracy: float
    log_loss: float | None
    roc_auc: float | None
    f1_macro: float
    rows: int
    unknown_label_rows: int
    classes: tuple[Any, ...]
    confusion: npt.NDArray[np.float64]
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, float | None]:
        """Return the four metrics, as in ``metrics.json``."""
        return {
            "accuracy": self.accuracy,
            "log_loss": self.log_loss,
            "roc_auc": self.roc_auc,
            "f1_macro": self.f1_macro,
        }


def f1_macro(confusion: npt.NDArray[np.float64]) -> float:
    """Return the mean F1 over the classes that occur as label or prediction.

    Parameters
    ----------
    confusion : ndarray of shape (n_classes, n_classes)
        True classes in rows, predicted ones in columns.
    """
    hits = np.diagonal(confusion)
    seen = confusion.sum(axis=0) + confusion.sum(axis=1)
    occurring = seen > 0
    if not occurring.any():
        return 0.0
    return float(np.mean(2 * hits[occurring] / seen[occurring]))
