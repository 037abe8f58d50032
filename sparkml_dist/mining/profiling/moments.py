"""The first four moments of numbers, in one pass over parts in any order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Moments"]


@dataclass
class Moments:
    """Count, mean and central sums of finite numbers, with their extremes.

    Parts are merged by the formulas of Pébay (2008), "Formulas for robust, one-pass parallel
    computation of covariances and arbitrary-order statistical moments", SAND2008-6212: a small
    spread stays exact beside a large mean.

    Attributes
    ----------
    n : float
    mean, m2, m3, m4 : float
        Mean, and sums of the second to fourth powers of distances from it.
    least, most : float
        Least and greatest number; infinite where there are none.
    zeros : float
    """

    n: float = 0.0
    mean: float = 0.0
    m2: float = 0.0
    m3: float = 0.0
    m4: float = 0.0
    least: float = math.inf
    most: float = -math.inf
    zeros: float = 0.0

    @classmethod
    def of(cls, values: np.ndarray[Any, Any]) -> Moments:
        """Return the moments of finite float64 values of shape ``(n,)``."""
        if not len(values):
            return cls()
        least, most = float(values.min()), float(values.max())
        if least == most:
            zeros = float(len(values)) if least == 0 else 0.0
            return cls(float(len(values)), least, least=least, most=most, zeros=zeros)
        # Sums of numbers near the largest double overflow: then the moments are infinite, or NaN.
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(values.mean())
            d = values - mean
            d2 = d * d
            return cls(
                float(len(values)),
                mean,
                float(d2.sum()),
                float((d2 * d).sum()),
                float((d2 * d2).sum()),
                least,
                most,
                float(np.count_nonzero(values == 0)),
            )

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both parts combined."""
        if not other.n:
            return self
        if not self.n:
            return other
        a, b = self, other
        n = a.n + b.n
        with np.errstate(over="ignore", invalid="ignore"):
            d = np.float64(b.mean) - np.float64(a.mean)
            share = a.n * b.n / n
            m2 = a.m2 + b.m2 + d**2 * share
            m3 = (
                a.m3 + b.m3 + d**3 * share * (a.n - b.n) / n + 3 * d * (a.n * b.m2 - b.n * a.m2) / n
            )
            m4 = (
                a.m4
                + b.m4
                + d**4 * share * (a.n**2 - a.n * b.n + b.n**2) / n**2
                + 6 * d**2 * (a.n**2 * b.m2 + b.n**2 * a.m2) / n**2
                + 4 * d * (a.n * b.m3 - b.n * a.m3) / n
            )
            mean = a.mean + d * b.n / n
        return Moments(
            n,
            float(mean),
            float(m2),
            float(m3),
            float(m4),
            min(a.least, b.least),
            max(a.most, b.most),
            a.zeros + b.zeros,
        )

    @property
    def sd(self) -> float | None:
        """Sample standard deviation (``n - 1``); None below two numbers."""
        return _finite(math.sqrt(max(self.m2, 0.0) / (self.n - 1))) if self.n > 1 else None

    @property
    def skewness(self) -> float | None:
        """Population skewness, as Spark's; None where all numbers are the same."""
        if not self.m2 > 0:
            return None
        with np.errstate(all="ignore"):
            return _finite(float(np.sqrt(self.n) * self.m3 / np.float64(self.m2) ** 1.5))

    @property
    def kurtosis(self) -> float | None:
        """Excess kurtosis of the population, as Spark's; None where all are the same."""
        if not self.m2 > 0:
            return None
        with np.errstate(all="ignore"):
            return _finite(float(self.n * self.m4 / np.float64(self.m2) ** 2 - 3))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
