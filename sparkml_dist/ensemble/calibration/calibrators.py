"""Curves that turn scores into probabilities, fitted to histograms of the scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Calibration", "Isotonic", "ScoreHistogram", "Sigmoid", "Temperature"]

Array = npt.NDArray[np.float64]

_NEWTON_STEPS = 100
_DIGITS = 12  # sums over partitions agree to fewer than a double's 16 digits


@dataclass(frozen=True)
class ScoreHistogram:
    """The input of a one-dimensional calibrator: rows, binned by score.

    Attributes
    ----------
    score : ndarray of shape (n_bins,)
        Mean score of each bin, ascending.
    positive, total : ndarray of shape (n_bins,)
        Weight of the rows of the class, and of all rows, in each bin.
    rows : float
        Total number of rows.
    """

    score: Array
    positive: Array
    total: Array
    rows: float


@dataclass(frozen=True)
class Sigmoid:
    """Probability ``1 / (1 + exp(a * score + b))``.

    References
    ----------
    Platt (1999), "Probabilistic outputs for support vector machines and comparisons to
    regularized likelihood methods". Lin, Lin, Weng (2007), "A note on Platt's probabilistic
    outputs for support vector machines".
    """

    a: float
    b: float

    @classmethod
    def fit(cls, found: ScoreHistogram) -> Sigmoid:
        """Fit by Newton's method, with Platt's smoothed targets.

        The targets keep the curve finite if the scores separate the classes.
        """
        positives = float(found.positive.sum())
        negatives = float(found.total.sum()) - positives
        high, low = (positives + 1.0) / (positives + 2.0), 1.0 / (negatives + 2.0)
        wanted = found.positive * high + (found.total - found.positive) * low
        centre = float(np.average(found.score, weights=found.total))
        spread = math.sqrt(float(np.average((found.score - centre) ** 2, weights=found.total)))
        spread = spread or 1.0
        X = np.stack([(found.score - centre) / spread, np.ones_like(found.score)], axis=1)
        at = np.array([0.0, math.log((positives + 1.0) / (negatives + 1.0))])
        at = _newton(X, found.total, wanted, at)
        slope = float(at[0]) / spread
        return cls(_rounded(-slope), _rounded(slope * centre - float(at[1])))

    def __call__(self, scores: Array) -> Array:
        """Return probabilities, of the shape of `scores`."""
        return _expit(-(self.a * scores + self.b))


@dataclass(frozen=True)
class Isotonic:
    """Non-decreasing, piecewise linear through the points (x, y), and constant outside them.

    References
    ----------
    Zadrozny, Elkan (2002), "Transforming classifier scores into accurate multiclass probability
    estimates".
    """

    x: tuple[float, ...]
    y: tuple[float, ...]

    @classmethod
    def fit(cls, found: ScoreHistogram) -> Isotonic:
        """Fit by pooling adjacent violators.

        No row gets probability 0 or 1, which n rows cannot support and for which a single error has
        infinite log loss: the bounds are ``1 / (n + 2)`` away from them.
        """
        from sklearn.isotonic import IsotonicRegression

        fitted = IsotonicRegression(out_of_bounds="clip").fit(
            found.score, found.positive / found.total, sample_weight=found.total
        )
        least = 1.0 / (found.rows + 2.0)
        heights = np.clip(fitted.y_thresholds_, least, 1.0 - least)
        return cls(
            tuple(_rounded(v) for v in fitted.X_thresholds_), tuple(_rounded(v) for v in heights)
        )

    def __call__(self, scores: Array) -> Array:
        """Return probabilities, of the shape of `scores`."""
        return np.interp(scores, self.x, self.y)


@dataclass(frozen=True)
class Temperature:
    """Probabilities proportional to ``p ** beta``; beta is the inverse of the temperature.

    The most probable class never changes.

    References
    ----------
    Guo, Pleiss, Sun, Weinberger (2017), "On calibration of modern neural networks".
    """

    beta: float

    #: Inverse temperatures at which a pass over the data computes the loss's derivatives.
    GRID = tuple(2.0 ** (j / 4) for j in range(-32, 33))

    @staticmethod
    def slopes(proba: Array, codes: npt.NDArray[Any], weight: Array) -> tuple[Array, Array]:
        """Return the loss's first and second derivative at each point of the grid.

        Parameters
        ----------
        proba : ndarray of shape (n, n_classes)
        codes : ndarray of int, shape (n,)
        weight : ndarray of shape (n,)
        """
        logits = _logits(proba)
        given = logits[np.arange(len(codes)), codes]
        first, second = np.empty(len(Temperature.GRID)), np.empty(len(Temperature.GRID))
        for i, beta in enumerate(Temperature.GRID):
            p = _softmax(beta * logits)
            mean = np.einsum("ij,ij->i", p, logits)
            first[i] = weight @ (mean - given)
            second[i] = weight @ (np.einsum("ij,ij->i", p, logits**2) - mean**2)
        return first, second

    @classmethod
    def fit(cls, first: Array, second: Array) -> Temperature:
        """Find the zero of the loss's derivative, interpolated between the points of the grid."""
        from scipy.interpolate import CubicHermiteSpline

        grid = np.log(cls.GRID)
        if first[0] >= 0 or first[-1] <= 0:  # the loss is convex: its minimum is at an end
            return cls(_rounded(cls.GRID[0] if first[0] >= 0 else cls.GRID[-1]))
        spline = CubicHermiteSpline(grid, first, second * np.asarray(cls.GRID))
        after = int(np.argmax(first > 0))
        roots = spline.roots(extrapolate=False)
        inside = roots[(roots >= grid[after - 1]) & (roots <= grid[after])]
        return cls(_rounded(math.exp(float(inside[0]))))

    def __call__(self, proba: Array) -> Array:
        """Return probabilities, shape (n, n_classes)."""
        return _softmax(self.beta * _logits(proba))


@dataclass(frozen=True)
class Calibration:
    """Calibrators for all classes: one per class against the rest, or one temperature.

    Attributes
    ----------
    method : {"sigmoid", "isotonic", "temperature"}
    curves : tuple of Sigmoid, Isotonic or Temperature
        One for the second class of two, or one per class; for a temperature a single one.
    """

    method: str
    curves: tuple[Any, ...]

    def __call__(self, proba: npt.NDArray[Any]) -> Array:
        """Return calibrated probabilities, shape (n, n_classes), whose rows add up to 1.

        Parameters
        ----------
        proba : ndarray of shape (n, n_classes)
        """
        scores = np.asarray(proba, dtype=np.float64)
        if self.method == "temperature":
            calibrated: Array = self.curves[0](scores)
            return calibrated
        if scores.shape[1] == 2:
            positive = self.curves[0](scores[:, 1])
            return np.stack([1.0 - positive, positive], axis=1)
        each = np.stack([f(scores[:, k]) for k, f in enumerate(self.curves)], axis=1)
        # The sum is never 0, because no curve is.
        return np.asarray(each / each.sum(axis=1, keepdims=True))

    def to_dict(self) -> dict[str, Any]:
        """Return the calibrators as JSON values for a manifest."""
        curves = []
        for curve in self.curves:
            values = {k: getattr(curve, k) for k in curve.__dataclass_fields__}
            curves.append({k: list(v) if isinstance(v, tuple) else v for k, v in values.items()})
        return {"method": self.method, "curves": curves}

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Calibration:
        """Return the calibrators that `to_dict` described."""
        kind: Any = {"sigmoid": Sigmoid, "isotonic": Isotonic, "temperature": Temperature}
        kind = kind[value["method"]]
        curves: Sequence[dict[str, Any]] = value["curves"]
        return cls(
            value["method"],
            tuple(
                kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in curve.items()})
                for curve in curves
            ),
        )


def _newton(X: Array, weight: Array, wanted: Array, at: Array) -> Array:
    """Minimise the logistic loss of ``X @ at``; `wanted` is the sum of targets in each bin."""

    def loss(theta: Array) -> float:
        z = X @ theta
        return float(np.sum(weight * np.logaddexp(0.0, z) - wanted * z))

    now = loss(at)
    for _ in range(_NEWTON_STEPS):
        p = _expit(X @ at)
        slope = X.T @ (weight * p - wanted)
        if np.abs(slope).max() <= 1e-10 * weight.sum():
            break
        curvature = (X.T * (weight * p * (1.0 - p))) @ X + 1e-12 * weight.sum() * np.eye(2)
        step = np.linalg.solve(curvature, slope)
        size = 1.0
        while size > 1e-10 and loss(at - size * step) > now:
            size /= 2
        at = at - size * step
        now = loss(at)
    return at


def _expit(z: Array) -> Array:
    from scipy.special import expit

    return np.asarray(expit(z))


def _logits(proba: Array) -> Array:
    return np.log(np.asarray(proba, dtype=np.float64) + np.finfo(np.float64).eps)


def _softmax(logits: Array) -> Array:
    from scipy.special import softmax

    return np.asarray(softmax(logits, axis=1))


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
