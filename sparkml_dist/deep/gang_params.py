"""The Params that say how long the driver waits for the ranks of a training."""

from __future__ import annotations

import math
from typing import Any, ClassVar, TypedDict

from pyspark.ml.param import TypeConverters

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.params import AccessibleParams, param

__all__ = ["HasTimeouts", "Timeouts"]


class Timeouts(TypedDict):
    """Arguments of `run_gang`, in seconds; a stall timeout of None is none."""

    stall_timeout: float | None
    slot_timeout: float


class HasTimeouts(AccessibleParams):
    """How long ranks may stand still, and how long to wait for slots that others hold."""

    stallTimeout: Any = param(
        "stallTimeout",
        "seconds in which no rank takes a batch, after which the training counts as stalled "
        "(>= 0; 0: never)",
        TypeConverters.toFloat,
    )
    slotTimeout: Any = param(
        "slotTimeout",
        "seconds to wait for task slots that other jobs of the application hold (>= 0)",
        TypeConverters.toFloat,
    )

    _defaults: ClassVar[dict[str, Any]] = {"stallTimeout": 600.0, "slotTimeout": 600.0}

    def _timeouts(self) -> Timeouts:
        """Return the arguments of `run_gang` that the Params stand for.

        Raises
        ------
        ConfigurationError
            ``invalid_stallTimeout`` or ``invalid_slotTimeout``.
        """
        for name in ("stallTimeout", "slotTimeout"):
            value = self.getOrDefault(self.getParam(name))
            if not (math.isfinite(value) and value >= 0):
                raise ConfigurationError(
                    f"invalid_{name}", f"{name} must be a finite number >= 0. Got {value:g}."
                )
        return {
            "stall_timeout": self.getOrDefault(self.stallTimeout) or None,
            "slot_timeout": self.getOrDefault(self.slotTimeout),
        }
