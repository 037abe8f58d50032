"""Stops a training when a metric no longer improves, and keeps the best weights; no TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from sparkml_dist.deep.params.early_stopping_settings import EarlyStoppingSettings
from sparkml_dist.errors import ConfigurationError, nearest

__all__ = ["Better", "EarlyStopping", "direction", "monitored"]

Better = Literal["min", "max"]

_LARGER = ("acc", "auc", "precision", "recall", "fbeta", "f1", "r2", "iou", "correlation")
_SMALLER = ("loss", "error", "entropy", "divergence", "mae", "mse", "mape", "msle", "logcosh")


def direction(name: str) -> Better | None:
    """Return the better direction of a metric by its name; None if unknown."""
    for better, parts in (("max", _LARGER), ("min", _SMALLER)):
        if any(part in name.lower() for part in parts):
            return cast("Better", better)
    return None


class EarlyStopping:
    """Follows a metric from epoch to epoch.

    Parameters
    ----------
    settings : EarlyStoppingSettings
    weights : callable
        Returns the network's weights, to keep those of the best epoch.
    better : {"min", "max"}, optional
        Direction of the metric if the settings leave it open; by default inferred from its name.

    Raises
    ------
    ConfigurationError
        ``monitor_direction`` when the direction of the metric is unknown.

    Attributes
    ----------
    best_epoch : int or None
        Best epoch so far, counted from 0.
    best : float or None
        Value of the metric in the best epoch.
    best_weights : list of ndarray
        Its weights; empty if they are not to be restored, or unknown.
    """

    def __init__(
        self,
        settings: EarlyStoppingSettings,
        weights: Callable[[], Sequence[npt.NDArray[Any]]],
        better: Better | None = None,
    ) -> None:
        self.settings = settings
        self._weights = weights
        mode = settings.mode if settings.mode != "auto" else better or direction(settings.metric)
        if mode is None:
            raise ConfigurationError(
                "monitor_direction",
                f"The name of the metric {settings.metric!r} does not show whether large or small "
                "values are better.",
                "Set stopMode to 'max' or 'min'.",
            )
        self._sign = 1.0 if mode == "min" else -1.0
        self._waited = 0
        self.best_epoch: int | None = None
        self.best: float | None = None
        self.best_weights: list[npt.NDArray[Any]] = []

    def update(self, epoch: int, logs: Mapping[str, Any]) -> bool:
        """Record an epoch; return whether to stop the training.

        Raises
        ------
        ConfigurationError
            ``unknown_monitor``.
        """
        value = monitored(self.settings.metric, logs)
        if self._improves(value):
            self.best_epoch, self.best, self._waited = epoch, value, 0
            if self.settings.restore_best:
                self.best_weights = [np.array(w) for w in self._weights()]
            return False
        self._waited += 1
        patience = self.settings.patience
        return patience is not None and self._waited >= patience

    def _improves(self, value: float) -> bool:
        if math.isnan(value):
            return False
        if self.best is None:
            return True
        return self._sign * (self.best - value) > self.settings.tol

    def state(self) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Return the state for a resumed training, as JSON values and arrays."""
        values = {"best_epoch": self.best_epoch, "best": self.best, "waited": self._waited}
        return values, {f"best{i}": w for i, w in enumerate(self.best_weights)}

    def load_state(self, values: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Restore the values of `state`."""
        self.best_epoch, self.best = values["best_epoch"], values["best"]
        self._waited = values["waited"]
        self.best_weights = [arrays[f"best{i}"] for i in range(len(arrays))]


def monitored(name: str, logs: Mapping[str, Any]) -> float:
    """Return a metric of an epoch.

    Raises
    ------
    ConfigurationError
        ``unknown_monitor`` when there is no such metric, or its value is not a number.
    """
    value = logs.get(name)
    if not isinstance(value, float | int):
        numbers = [k for k, v in logs.items() if isinstance(v, float | int)]
        raise ConfigurationError(
            "unknown_monitor",
            f"There is no metric {name!r} to stop by.{nearest(name, numbers)}",
            f"Metrics are: {', '.join(numbers)}."
            + (" Set validationFraction for those of held-out rows." if "val_" in name else ""),
        )
    return float(value)
