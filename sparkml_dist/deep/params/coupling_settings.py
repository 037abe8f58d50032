"""Settings of the coupling of ranks in a step; imports no TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from sparkml_dist.errors import ConfigurationError, nearest

__all__ = ["CouplingSettings"]

_CHOICES = {
    "compression": ("none", "fp16"),
    "mixed_precision": ("none", "bfloat16", "float16"),
    "learning_rate_scaling": ("none", "linear", "sqrt"),
    "transport": ("auto", "horovod"),
}


@dataclass(frozen=True)
class CouplingSettings:
    """Settings of a training step.

    Attributes
    ----------
    compression : {"none", "fp16"}
        Whether Horovod sends gradients in half precision. It helps between hosts with a slow
        network, and has no effect when ranks of one host reduce in shared memory.
    accumulation_steps : int
        Number of batches of `batch_size` rows that a rank processes before each reduction and
        update. The update equals that of one batch of all these rows, in the memory of one.
    clip_norm : float or None
        Largest norm of all gradients together; larger gradients are scaled down to it, after the
        reduction.
    fusion_mb : float or None
        MiB of gradients in one message of Horovod; its own default is 128.
    cycle_ms : float or None
        Milliseconds for which Horovod gathers gradients before it sends them; None for 1, or 10
        when all gradients are reduced in shared memory.
    mixed_precision : {"none", "bfloat16", "float16"}
        Type in which layers compute; weights stay in float32. With ``"float16"`` the loss is
        scaled, and all ranks skip steps whose gradients overflow.
    learning_rate_scaling : {"none", "linear", "sqrt"}
        Factor of the optimizer's learning rate: 1, the number of batches in an update (ranks times
        `accumulation_steps`) [1]_, or its square root.
    warmup_epochs : float
        Epochs over which the factor rises, step by step, from 1 to its value; without scaling,
        from 0 to 1.
    rate_batches : int or None
        Number of batches in an update for the scaling; None for that of this run. A run that is
        resumed with another number of ranks keeps its first number.
    transport : {"auto", "horovod"}
        With ``"auto"``, ranks that are all on one host, without GPUs, reduce in shared memory;
        with ``"horovod"``, Horovod always reduces.

    References
    ----------
    .. [1] Goyal et al. (2017), "Accurate, large minibatch SGD: training ImageNet in 1 hour",
       arXiv:1706.02677.
    """

    compression: str = "none"
    accumulation_steps: int = 1
    clip_norm: float | None = None
    fusion_mb: float | None = None
    cycle_ms: float | None = None
    mixed_precision: str = "none"
    learning_rate_scaling: str = "none"
    warmup_epochs: float = 0.0
    rate_batches: int | None = None
    transport: str = "auto"

    def __post_init__(self) -> None:
        for field in fields(self):
            self._check(field.name, getattr(self, field.name))

    def _check(self, name: str, value: Any) -> None:
        spelling = _camel(name)
        if name in _CHOICES:
            if value not in _CHOICES[name]:
                raise ConfigurationError(
                    "invalid_param",
                    f"{spelling} must be one of {', '.join(map(repr, _CHOICES[name]))}. "
                    f"Got {value!r}.{nearest(str(value), _CHOICES[name])}",
                )
        elif name in ("accumulation_steps", "rate_batches"):
            if value is None and name == "rate_batches":
                return
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigurationError(
                    "invalid_param", f"{spelling} must be an integer >= 1. Got {value!r}."
                )
        elif value is not None or name == "warmup_epochs":
            least = ">= 0" if name in ("warmup_epochs", "fusion_mb") else "> 0"
            good = isinstance(value, (int, float)) and math.isfinite(value)
            if not good or value < 0 or (value == 0 and least == "> 0"):
                raise ConfigurationError(
                    "invalid_param",
                    f"{spelling} must be a finite number {least}. Got {value!r}.",
                )

    def environment(self) -> dict[str, str]:
        """Return the variables that Horovod reads when it starts."""
        found: dict[str, str] = {}
        if self.fusion_mb is not None:
            found["HOROVOD_FUSION_THRESHOLD"] = str(round(self.fusion_mb * 2**20))
        if self.cycle_ms is not None:
            found["HOROVOD_CYCLE_TIME"] = repr(float(self.cycle_ms))
        return found


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(o.capitalize() for o in others)
