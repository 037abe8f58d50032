"""The Params that say how the ranks of a training are tied together in a step."""

from __future__ import annotations

from typing import Any

from pyspark.ml.param import TypeConverters

from sparkml_dist.deep.params.coupling_settings import CouplingSettings
from sparkml_dist.params import AccessibleParams, param

__all__ = ["HasCoupling"]

# Of each setting, the Param that it comes from.
_PARAMS = {
    "compression": "compression",
    "accumulation_steps": "accumulationSteps",
    "clip_norm": "clipNorm",
    "fusion_mb": "fusionMb",
    "cycle_ms": "cycleMs",
    "mixed_precision": "mixedPrecision",
    "learning_rate_scaling": "learningRateScaling",
    "warmup_epochs": "warmupEpochs",
    "transport": "transport",
}


class HasCoupling(AccessibleParams):
    """How gradients are brought together and applied; see `CouplingSettings`."""

    compression: Any = param(
        "compression",
        "'fp16' to send gradients between hosts in half precision, else 'none'",
        TypeConverters.toString,
    )
    accumulationSteps: Any = param(
        "accumulationSteps", "batches of each rank in one update (>= 1)", TypeConverters.toInt
    )
    clipNorm: Any = param(
        "clipNorm",
        "largest norm of all gradients together (> 0); they are not clipped when not set",
        TypeConverters.toFloat,
    )
    fusionMb: Any = param(
        "fusionMb",
        "MiB of gradients that Horovod sends at once (>= 0); its own default when not set",
        TypeConverters.toFloat,
    )
    cycleMs: Any = param(
        "cycleMs",
        "milliseconds for which Horovod gathers gradients (> 0); when not set 1, or 10 where they "
        "go through shared memory",
        TypeConverters.toFloat,
    )
    mixedPrecision: Any = param(
        "mixedPrecision",
        "what layers compute in: 'bfloat16', 'float16', or 'none' for float32",
        TypeConverters.toString,
    )
    learningRateScaling: Any = param(
        "learningRateScaling",
        "how the learning rate grows with the batches in an update: 'linear', 'sqrt' or 'none'",
        TypeConverters.toString,
    )
    warmupEpochs: Any = param(
        "warmupEpochs",
        "epochs over which the learning rate rises to its value (>= 0)",
        TypeConverters.toFloat,
    )
    transport: Any = param(
        "transport",
        "'auto' for gradients to be summed in shared memory where all ranks are on one host "
        "without GPUs, 'horovod' for Horovod to do it in any case",
        TypeConverters.toString,
    )

    def _coupling(self) -> CouplingSettings:
        """Return how the ranks are coupled.

        Raises
        ------
        ConfigurationError
            ``invalid_param``.
        """
        values = {setting: self._value(self.getParam(name)) for setting, name in _PARAMS.items()}
        return CouplingSettings(**values)
