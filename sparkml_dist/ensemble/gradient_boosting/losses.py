"""The losses of gradient boosting, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, softmax

from sparkml_dist.ensemble.gradient_boosting.loss import (
    LONGEST_STEP,
    Array,
    Loss,
    RegressionLoss,
    Slope,
)
from sparkml_dist.ensemble.gradient_boosting.robust_losses import AbsoluteError, Huber
from sparkml_dist.errors import ConfigurationError

__all__ = [
    "CLASSIFICATION_LOSSES",
    "REGRESSION_LOSSES",
    "LogLoss",
    "SquaredError",
    "loss_of",
]

CLASSIFICATION_LOSSES = ("log_loss",)
REGRESSION_LOSSES = ("squared_error", "absolute_error", "huber")

_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class LogLoss(Loss):
    """Log loss for two classes (one score, the log odds) or more (one score per class).

    Attributes
    ----------
    n_classes : int
    """

    n_classes: int
    name = "log_loss"

    @property
    def n_outputs(self) -> int:  # type: ignore[override]
        """Scores per row."""
        return 1 if self.n_classes == 2 else self.n_classes

    def moments(self, y: npt.NDArray[Any], w: Array) -> list[float]:
        """Return the weight of each class."""
        return np.bincount(y, w, self.n_classes).tolist()

    def start(self, moments: Sequence[Sequence[float]]) -> tuple[Array, float]:
        """Return the log odds of the classes' shares."""
        total = np.sum(moments, axis=0)
        share = np.clip(total / total.sum(), _EPSILON, 1 - _EPSILON)
        if self.n_classes == 2:
            return np.log(share[1:] / (1 - share[1:])), 1.0
        logs = np.log(share)
        return logs - logs.mean(), 1.0

    def slope(self, y: npt.NDArray[Any], F: Array, w: Array) -> Slope:
        """Return y - p and p (1 - p)."""
        if self.n_classes == 2:
            p = expit(F)
            true = y.astype(np.float64)[:, None]
        else:
            p = softmax(F, axis=1)
            true = np.zeros_like(p)
            true[np.arange(len(y)), y] = 1.0
        return Slope(true - p, p * (1 - p))

    def leaves(
        self, leaf: npt.NDArray[np.int64], n_nodes: int, y: Array, F: Array, slope: Slope, w: Array
    ) -> Array | None:
        """Return Newton steps, scaled as in Friedman for more than two classes."""
        values = super().leaves(leaf, n_nodes, y, F, slope, w)
        assert values is not None
        return values if self.n_classes == 2 else values * (1 - 1 / self.n_classes)

    def _longest(self) -> float:
        return LONGEST_STEP

    def link(self, F: Array) -> Array:
        """Return probabilities, shape (n, n_classes)."""
        if self.n_classes == 2:
            return np.hstack([expit(-F), expit(F)])
        return np.asarray(softmax(F, axis=1))


@dataclass(frozen=True)
class SquaredError(RegressionLoss):
    """Half the squared error."""

    name = "squared_error"

    def moments(self, y: npt.NDArray[Any], w: Array) -> list[float]:
        """Return the sums of the weights and of the weighted targets."""
        return [float(w.sum()), float(w @ y)]

    def start(self, moments: Sequence[Sequence[float]]) -> tuple[Array, float]:
        """Return the mean."""
        weight, total = np.sum(moments, axis=0)
        return np.array([total / weight]), 1.0

    def slope(self, y: npt.NDArray[Any], F: Array, w: Array) -> Slope:
        """Return the residuals and ones."""
        return Slope(y[:, None] - F, np.ones_like(F))

    def leaves(self, *_: Any) -> None:
        """Return None: the mean residual of a leaf is the best step."""
        return


def loss_of(name: str, *, n_classes: int = 0, alpha: float = 0.9) -> Loss:
    """Return the loss with a name.

    Parameters
    ----------
    name : {"log_loss", "squared_error", "absolute_error", "huber"}
    n_classes : int, default=0
        0 for a regression.
    alpha : float, default=0.9
        For ``"huber"``.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    known = CLASSIFICATION_LOSSES if n_classes else REGRESSION_LOSSES
    if name not in known:
        raise ConfigurationError(
            "invalid_param", f"loss must be one of {', '.join(known)}. Got {name!r}."
        )
    if name == "log_loss":
        return LogLoss(n_classes)
    if name == "huber":
        return Huber(alpha)
    return SquaredError() if name == "squared_error" else AbsoluteError()
