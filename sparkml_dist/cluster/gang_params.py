"""Params of the timeouts of a training's gang."""

from __future__ import annotations

import math
from typing import Any, TypedDict

from pyspark.ml.param import TypeConverters

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.params import AccessibleParams, param

__all__ = ["HasTimeouts", "Timeouts"]


class Timeouts(TypedDict):
    """Arguments of `run_gang`, in seconds; None for no limit."""

    stall_timeout: float | None
    silence_timeout: float | None
    slot_timeout: float


class HasTimeouts(AccessibleParams):
    """Timeouts for stalled and silent ranks, and for task slots."""

    stallTimeout: Any = param(
        "stallTimeout",
        "seconds in which no rank takes a batch, after which the training counts as stalled "
        "(>= 0; 0: no limit)",
        TypeConverters.toFloat,
    )
    silenceTimeout: Any = param(
        "silenceTimeout",
        "seconds without a heartbeat of a rank's process after which it counts as stopped "
        "(>= 0; 0: no limit)",
        TypeConverters.toFloat,
    )
    slotTimeout: Any = param(
        "slotTimeout",
        "seconds to wait for task slots: for executors that have not registered yet, and for slots "
        "that other jobs of the application hold (>= 0)",
        TypeConverters.toFloat,
    )

    def _timeouts(self) -> Timeouts:
        """Return the Params as arguments of `run_gang`.

        Raises
        ------
        ConfigurationError
            ``invalid_param``.
        """
        for name in ("stallTimeout", "silenceTimeout", "slotTimeout"):
            value = self.getOrDefault(self.getParam(name))
            if not (math.isfinite(value) and value >= 0):
                raise ConfigurationError(
                    "invalid_param", f"{name} must be a finite number >= 0. Got {value:g}."
                )
        return {
            "stall_timeout": self.getOrDefault(self.stallTimeout) or None,
            "silence_timeout": self.getOrDefault(self.silenceTimeout) or None,
            "slot_timeout": self.getOrDefault(self.slotTimeout),
        }
