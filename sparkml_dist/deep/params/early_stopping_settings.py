"""Settings of early stopping; imports no TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from sparkml_dist.errors import ConfigurationError

__all__ = ["EarlyStoppingSettings"]

Mode = Literal["auto", "min", "max"]


@dataclass(frozen=True)
class EarlyStoppingSettings:
    """Settings of early stopping.

    Parameters
    ----------
    metric : str
        Name of a metric in the history, such as ``"val_loss"``.
    patience : int or None
        Epochs without improvement after which the training ends; None to train for all epochs.
    tol : float, default=0
        Least change that counts as an improvement.
    restore_best : bool, default=True
        Whether the network has the weights of its best epoch at the end.
    mode : {"auto", "min", "max"}
        Whether smaller or larger values of the metric are better.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """

    metric: str
    patience: int | None
    tol: float = 0.0
    restore_best: bool = True
    mode: Mode = "auto"

    def __post_init__(self) -> None:
        if self.patience is not None and self.patience < 1:
            raise ConfigurationError(
                "invalid_param", f"patience must be >= 1. Got {self.patience}."
            )
        if not (math.isfinite(self.tol) and self.tol >= 0):
            raise ConfigurationError(
                "invalid_param", f"tol must be a number >= 0. Got {self.tol!r}."
            )
        if self.mode not in ("auto", "min", "max"):
            raise ConfigurationError(
                "invalid_param",
                f"stopMode must be 'auto', 'min' or 'max'. Got {self.mode!r}.",
            )
