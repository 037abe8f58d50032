"""Standard errors, tests and intervals of fitted coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Inference"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Inference:
    """Tests of coefficients, each against 0.

    Attributes
    ----------
    coefficients : ndarray of shape (k,)
    covariance : ndarray of shape (k, k)
    freedom : float or None
        Degrees of freedom of Student's t; None for the normal distribution.
    """

    coefficients: Array
    covariance: Array
    freedom: float | None

    @property
    def errors(self) -> Array:
        """Standard errors."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    @property
    def statistics(self) -> Array:
        """Coefficients in standard errors."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(self.coefficients / self.errors)

    @property
    def p_values(self) -> Array:
        """Two-sided p-values."""
        from scipy import stats

        size = np.abs(self.statistics)
        if self.freedom is None:
            return np.asarray(2 * stats.norm.sf(size))
        return np.asarray(2 * stats.t.sf(size, self.freedom))

    def intervals(self, level: float) -> Array:
        """Return confidence intervals, shape (k, 2)."""
        from scipy import stats

        tail = 0.5 + level / 2
        factor = stats.norm.ppf(tail) if self.freedom is None else stats.t.ppf(tail, self.freedom)
        width = factor * self.errors
        return np.column_stack([self.coefficients - width, self.coefficients + width])
