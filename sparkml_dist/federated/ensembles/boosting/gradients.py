"""Gradients of the losses, rounded so that their sums do not depend on any order."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Objective", "grid_of", "on_grid"]

_SMALLEST = 1e-16
_DIGITS = 52


@dataclass(frozen=True)
class Objective:
    """A loss, by the number of classes: 0 for squared error, 2 for logistic, more for softmax.

    Attributes
    ----------
    n_classes : int
    """

    n_classes: int

    @property
    def groups(self) -> int:
        """Scores of a row."""
        return self.n_classes if self.n_classes > 2 else 1

    def gradients(
        self, margin: npt.NDArray[np.float64], y: npt.NDArray[Any]
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return gradients and hessians, and the loss of each row.

        The same forms as XGBoost's: half the squared error; the softmax's hessian is doubled.

        Parameters
        ----------
        margin : ndarray of float64, shape (n, groups)
        y : ndarray of shape (n,)
            Codes, or targets.

        Returns
        -------
        gradient, hessian : ndarray of shape (n, groups)
        loss : ndarray of shape (n,)
            Log loss or squared error of each row.
        """
        rows = np.arange(len(y))
        if not self.n_classes:
            away = margin - y[:, None]
            return away, np.ones_like(away), away[:, 0] ** 2
        if self.n_classes == 2:
            p = 1 / (1 + np.exp(-margin))
            target = y.astype(np.float64)[:, None]
            loss = np.logaddexp(0, np.where(target > 0, -margin, margin))[:, 0]
            return p - target, np.maximum(p * (1 - p), _SMALLEST), loss
        shifted = margin - margin.max(axis=1, keepdims=True)
        p = np.exp(shifted)
        total = p.sum(axis=1, keepdims=True)
        p /= total
        loss = np.log(total[:, 0]) - shifted[rows, y]
        gradient = p.copy()
        gradient[rows, y] -= 1
        return gradient, np.maximum(2 * p * (1 - p), _SMALLEST), loss


def grid_of(most: float) -> int:
    """Return k such that whole multiples of 2**-k add up without rounding.

    Parameters
    ----------
    most : float
        Bound of the sum of absolute values.
    """
    return _DIGITS - math.ceil(math.log2(most)) if most > 1 else _DIGITS


def on_grid(values: npt.NDArray[np.float64], k: int) -> npt.NDArray[np.float64]:
    """Round to multiples of 2**-k: sums of them in double precision are exact in any order.

    Parameters
    ----------
    values : ndarray of float64
    k : int
        Of `grid_of`.
    """
    scale = 2.0**k
    return np.asarray(np.rint(values * scale) / scale)
