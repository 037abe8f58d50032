"""The ROC curve, the precision-recall curve and the thresholds of a class."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.metrics.auc import ProbabilityBins

__all__ = ["ScoreCurve", "ScoreCurves"]

Floats = npt.NDArray[np.float64]
#: Points of a curve in `to_dict`.
_POINTS = 200


@dataclass(frozen=True, eq=False)
class ScoreCurve:
    """The rows that are predicted as one class, for every threshold of its probability.

    A row is predicted as the class if its probability is at least the threshold.

    Attributes
    ----------
    of : object
        The class, against all others.
    thresholds : ndarray of shape (n,)
        Descending.
    hits : ndarray of shape (n,)
        Weight of the rows of the class whose probability is at least the threshold.
    false_alarms : ndarray of shape (n,)
        The same of all other rows.
    bins : ProbabilityBins
        Bins of the histograms.
    """

    of: Any
    thresholds: Floats
    hits: Floats
    false_alarms: Floats
    bins: ProbabilityBins = field(default_factory=ProbabilityBins, repr=False)

    @classmethod
    def of_histograms(
        cls, of: Any, bins: ProbabilityBins, positive: Floats, negative: Floats
    ) -> ScoreCurve:
        """Return the curve of the histograms of probabilities, with a point for each full bin.

        Parameters
        ----------
        of : object
        bins : ProbabilityBins
        positive, negative : ndarray of shape (bins.size,)
            Weight of the class's rows, and of all others.
        """
        full = np.flatnonzero((positive > 0) | (negative > 0))[::-1]
        sums = np.cumsum(positive[full]), np.cumsum(negative[full])
        return cls(of, bins.least(full), *sums, bins)

    @property
    def positives(self) -> float:
        """Weight of the rows of the class."""
        return float(self.hits[-1]) if len(self.hits) else 0.0

    @property
    def negatives(self) -> float:
        """Weight of all other rows."""
        return float(self.false_alarms[-1]) if len(self.hits) else 0.0

    @property
    def recall(self) -> Floats:
        """Share of the class's rows that are predicted, also the true positive rate, shape (n,).

        NaN if there are none.
        """
        return _ratio(self.hits, self.positives)

    @property
    def false_positive_rate(self) -> Floats:
        """Share of all other rows that are predicted as the class, shape (n,)."""
        return _ratio(self.false_alarms, self.negatives)

    @property
    def precision(self) -> Floats:
        """Share of the predicted rows that belong to the class, shape (n,)."""
        return _ratio(self.hits, self.hits + self.false_alarms)

    @property
    def f1(self) -> Floats:
        """Harmonic mean of precision and recall, shape (n,)."""
        return _ratio(2 * self.hits, self.hits + self.false_alarms + self.positives)

    @property
    def roc_auc(self) -> float | None:
        """Area under the ROC curve; None if one of the two kinds of rows is missing."""
        if not (self.positives > 0 and self.negatives > 0):
            return None
        x, y = np.append(0.0, self.false_positive_rate), np.append(0.0, self.recall)
        return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))

    @property
    def average_precision(self) -> float | None:
        """Mean of the precisions, weighted by the gain of recall; None without rows of the class.

        No interpolation, as in scikit-learn.
        """
        if not self.positives > 0:
            return None
        return float(np.sum(np.diff(np.append(0.0, self.recall)) * self.precision))

    @property
    def best_threshold(self) -> float | None:
        """The threshold of the largest F1, the highest of several."""
        return float(self.thresholds[np.argmax(self.f1)]) if self.positives > 0 else None

    def at(self, threshold: float) -> dict[str, float]:
        """Return the numbers of a threshold.

        Parameters
        ----------
        threshold : float
            Probabilities in the same bin count as equal to it.

        Returns
        -------
        dict
            ``threshold``, ``precision``, ``recall``, ``f1``, ``false_positive_rate`` (NaN where
            nothing can be divided by), and the weights of rows ``hits``, ``false_alarms``,
            ``misses`` and ``correct_rejections``.
        """
        least = self.bins.least(self.bins.index(np.array([threshold])))[0]
        least = least if threshold <= 1 else np.inf
        reached = int(np.searchsorted(-self.thresholds, -least, side="right"))
        hits = float(self.hits[reached - 1]) if reached else 0.0
        alarms = float(self.false_alarms[reached - 1]) if reached else 0.0
        nan = float("nan")
        return {
            "threshold": float(threshold),
            "precision": hits / (hits + alarms) if hits + alarms else nan,
            "recall": hits / self.positives if self.positives else nan,
            "f1": 2 * hits / (hits + alarms + self.positives)
            if hits + alarms + self.positives
            else nan,
            "false_positive_rate": alarms / self.negatives if self.negatives else nan,
            "hits": hits,
            "false_alarms": alarms,
            "misses": self.positives - hits,
            "correct_rejections": self.negatives - alarms,
        }

    def table(self, steps: int = 20) -> list[dict[str, float]]:
        """Return the numbers of evenly spaced thresholds from 0 to 1; see `at`.

        Parameters
        ----------
        steps : int, default=20
            Number of intervals; there is one row more.

        Raises
        ------
        ConfigurationError
            ``invalid_param``.
        """
        if steps < 1:
            raise ConfigurationError("invalid_param", f"steps must be >= 1. Got {steps}.")
        return [self.at(i / steps) for i in range(steps + 1)]

    def to_dict(self) -> dict[str, Any]:
        """Return the areas, the best threshold and up to 200 points as JSON values."""
        at = np.unique(np.linspace(0, len(self.hits) - 1, _POINTS).round().astype(int))
        names = ("thresholds", "recall", "false_positive_rate", "precision")
        points = {
            name: [None if v != v else float(v) for v in getattr(self, name)[at]]
            for name in names
            if len(self.hits)
        }
        return {
            "class": self.of,
            "positives": self.positives,
            "negatives": self.negatives,
            "roc_auc": self.roc_auc,
            "average_precision": self.average_precision,
            "best_threshold": self.best_threshold,
            "points": points,
        }


@dataclass(frozen=True, eq=False)
class ScoreCurves:
    """The curves of several classes, each against all others.

    Attributes
    ----------
    curves : tuple of ScoreCurve
    rows : int
    """

    curves: tuple[ScoreCurve, ...]
    rows: int

    def __getitem__(self, of: Any) -> ScoreCurve:
        """Return the curve of a class.

        Raises
        ------
        KeyError
        """
        for curve in self.curves:
            if curve.of == of:
                return curve
        raise KeyError(of)

    def __iter__(self) -> Iterator[ScoreCurve]:
        return iter(self.curves)

    def __len__(self) -> int:
        return len(self.curves)

    @property
    def roc_auc(self) -> float | None:
        """Mean area under the ROC curves of the classes that have one."""
        return _mean([curve.roc_auc for curve in self.curves])

    @property
    def average_precision(self) -> float | None:
        """Mean of the average precisions of the classes that have one."""
        return _mean([curve.average_precision for curve in self.curves])

    def to_dict(self) -> dict[str, Any]:
        """Return the curves as JSON values."""
        return {
            "rows": self.rows,
            "roc_auc": self.roc_auc,
            "average_precision": self.average_precision,
            "classes": [curve.to_dict() for curve in self.curves],
        }

    def __repr__(self) -> str:
        area = "undefined" if self.roc_auc is None else f"{self.roc_auc:.4f}"
        return f"ScoreCurves({len(self.curves)} of classes, {self.rows:,} rows, ROC area {area})"


def _ratio(part: Floats, whole: Floats | float) -> Floats:
    """Return a quotient, NaN where the divisor is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(np.asarray(whole) > 0, part / np.asarray(whole), np.nan)
    return found


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
