"""Features in the units of the whole federation: its means and deviations, found in two rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sparkml_dist.federated.training.flat_model import Floats
from sparkml_dist.kernels.scaling import Scaling

__all__ = ["Standardization"]

# Deviations that are rounding errors of a constant.
_ROUNDING = 1e-7


@dataclass(frozen=True)
class Standardization:
    """Means and deviations of features and target over all silos' known values.

    Attributes
    ----------
    mean, deviation : ndarray, shape (d,)
        Of the features; those of categories are not used.
    counts : tuple of int
        Number of categories of each feature, 0 for numbers.
    target : tuple of two floats
        Mean and deviation of a regression's target; 0 and 1 for classes.
    """

    mean: Floats
    deviation: Floats
    counts: tuple[int, ...]
    target: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def of_moments(
        cls,
        number: Floats,
        mean: Floats,
        square: Floats,
        counts: Sequence[int],
        *,
        regression: bool,
    ) -> Standardization:
        """Return the standardization of sums over silos.

        Parameters
        ----------
        number, mean, square : ndarray, shape (d + 1,)
            Number of known values, mean, and sum of squared deviations, of features and label.
        counts : sequence of int
        regression : bool
        """
        deviation = np.sqrt(square / np.maximum(number, 1))
        # A constant feature tells nothing; its rounding is not blown up.
        deviation = np.where(deviation <= _ROUNDING * np.abs(mean), 1.0, deviation)
        target = (float(mean[-1]), float(deviation[-1])) if regression else (0.0, 1.0)
        return cls(mean[:-1], deviation[:-1], tuple(counts), target)

    @cached_property
    def _scaling(self) -> Scaling:
        numbers = np.array(self.counts) == 0
        fill = np.where(numbers, self.mean, np.nan)  # a missing category is like no other
        mean, deviation = (np.asarray(v, np.float64) for v in (self.mean, self.deviation))
        return Scaling.of_numbers(mean, deviation, fill, self.counts)

    @property
    def width(self) -> int:
        """Number of standardized features, with one for each category."""
        return self._scaling.width

    def standardized(self, X: Any) -> Floats:
        """Return rows (n, d) as standardized features (n, width), missing values at the mean."""
        return self._scaling.apply(X)

    def imputed(self, X: Any) -> Floats:
        """Return rows in their own units with missing numbers at the mean, as float32."""
        rows = np.asarray(X.toarray() if hasattr(X, "toarray") else X, np.float64)
        fill = np.where(np.array(self.counts) == 0, self.mean, np.nan)
        return np.where(np.isnan(rows), fill, rows).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "mean": self.mean.tolist(),
            "deviation": self.deviation.tolist(),
            "counts": list(self.counts),
            "target": list(self.target),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Standardization:
        """Return the standardization of JSON values."""
        mean = np.array(value["mean"], np.float64)
        deviation = np.array(value["deviation"], np.float64)
        counts = tuple(int(c) for c in value["counts"])
        first, second = (float(v) for v in value["target"])
        if not (mean.shape == deviation.shape == (len(counts),)) or min(counts, default=0) < 0:
            raise ValueError("means, deviations and counts of features differ in number")
        if not (np.isfinite(mean).all() and (deviation > 0).all() and second > 0):
            raise ValueError("means must be finite and deviations above 0")
        return cls(mean, deviation, counts, (first, second))
